"""What staff read where iMIS does not do something: what the hub wanted, and iMIS's own name for it in brackets."""

from __future__ import annotations

from typing import Any

import pytest
from connectors.imis_site import ACTIVITY, COMPLETION, PANEL, ROW, ImisSite, RecordedExchanges

from learning_hub.connectors.check_results import Needs
from learning_hub.connectors.imis.connector import ImisConnector
from learning_hub.connectors.outcomes import Postponed

NEEDS = [
    Needs(subscription_id="completions", target=ACTIVITY, templates=[COMPLETION]),
    Needs(subscription_id="rows", target=PANEL, templates=[ROW]),
]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/api/PartySummary", "The hub could not read contacts (PartySummary): iMIS answered 503"),
        ("/api/Activity", "The hub could not read activities: iMIS answered 503"),
        ("/api/UserSecurity", "The hub could not read the roles of its account (UserSecurity): iMIS answered 503"),
        (
            "/api/LegacyActivityType",
            "The hub could not read the activity types (LegacyActivityType): iMIS answered 503",
        ),
        (
            "/api/BOEntityDefinition/LH_Learning",
            "The hub could not read the fields of the panel LH_Learning (BOEntityDefinition): iMIS answered 503",
        ),
        ("/api/LH_Learning", "The hub could not read rows of LH_Learning: iMIS answered 503"),
    ],
)
async def test_a_check_says_what_the_hub_wanted(
    path: str, words: str, site: ImisSite, connector: ImisConnector
) -> None:
    """Each question of the check is named by what it is for."""
    site.fault("503", Path=path, Times=None)
    checked = await connector.check(NEEDS)
    assert checked.details[-1].message.startswith(words)


async def test_a_lookup_says_what_the_hub_wanted(site: ImisSite, connector: ImisConnector) -> None:
    """A participant that cannot be looked up just now is reported as a contact that was looked for."""
    site.fault("503", Path="/api/PartySummary", Times=None)
    outcome: Any = await connector.find_participant("anyone@example.org", RecordedExchanges())
    assert isinstance(outcome, Postponed)
    assert outcome.message.startswith("The hub could not look for a contact (PartySummary): iMIS answered 503")

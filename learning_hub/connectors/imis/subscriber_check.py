"""
The check of a subscriber: whether the site has what is needed, and what to do there. The check writes nothing.

The requests are sent one after the other, as the vendor asks. The check ends when the site is away, or after a total
time, so that the person who waits does not wait for each request of a slow site.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from learning_hub.connectors.base import Recorder
from learning_hub.connectors.check_results import CheckResult, Finding, Needs
from learning_hub.connectors.imis import account_checks, target_checks
from learning_hub.connectors.imis.account_checks import first_row
from learning_hub.connectors.imis.activity import ENTITY
from learning_hub.connectors.imis.api import Api
from learning_hub.connectors.imis.responses import Failed
from learning_hub.connectors.imis.settings import ImisSettings, QueryLookup
from learning_hub.connectors.imis.token import Tokens


async def check_site(
    api: Api, tokens: Tokens, settings: ImisSettings, needs: Sequence[Needs], recorder: Recorder, *, most_seconds: float
) -> CheckResult:
    """
    What the account can use at the site, and what the subscriptions lack.

    Args:
        api: Sends the requests.
        tokens: Signs in.
        settings: Of the subscriber.
        needs: Of its subscriptions.
        recorder: Records the exchanges.
        most_seconds: The check ends after this time, with the findings so far.
    """
    found: list[Finding] = []
    try:
        async with asyncio.timeout(most_seconds):
            await _check_everything(found, api, tokens, settings, needs, recorder)
    except Failed as failed:
        if found:
            advice = "The rest was not checked."
            found.append(Finding(subject="site", state="wrong", message=failed.message, advice=advice))
        else:
            found.append(account_checks.not_signed_in(failed, tokens.how_to_fix))
    except TimeoutError:
        message = f"The check ended after {most_seconds:g} seconds, because iMIS is too slow. The rest was not checked."
        found.append(Finding(subject="site", state="wrong", message=message))
    return CheckResult.of(*found)


async def _check_everything(
    found: list[Finding], api: Api, tokens: Tokens, settings: ImisSettings, needs: Sequence[Needs], recorder: Recorder
) -> None:
    """
    Add to *found*, one request after the other.

    Raises:
        Failed: No further request would succeed.
    """
    await tokens.current(recorder)
    found.append(Finding(subject="sign-in", message=f"Signed in at {settings.base_url}."))
    of_activities = target_checks.of_activities(needs)
    contacts = await first_row(api, "PartySummary", {}, recorder, "read contacts (PartySummary)")
    found.append(account_checks.contacts(contacts, settings))
    activities = await first_row(api, ENTITY, {}, recorder, "read activities")
    found.append(target_checks.activities(activities, of_activities))
    pages = [result.page for result in (contacts, activities) if result.page is not None]
    if pages:
        found.append(account_checks.version(pages, settings))
    found.append(account_checks.clock(settings))
    found.append(await account_checks.roles(api, recorder))
    if isinstance(settings.participant_lookup, QueryLookup):
        found.append(await account_checks.lookup_query(api, settings.participant_lookup, recorder))
    if activities.page is not None:
        found.append(await target_checks.activity_key(api, settings, of_activities, recorder))
    found += await target_checks.activity_types(api, of_activities, recorder)
    for name, users in target_checks.panels_of(needs).items():
        found += await target_checks.panel(api, name, users, recorder)
    if not pages:
        reads_panel = any(one.subject == "panel" and one.state == "fine" for one in found)
        found.append(account_checks.unknown_version(reads_panel=reads_panel))

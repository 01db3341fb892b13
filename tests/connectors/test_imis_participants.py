"""Who the publisher's participant is at a sandbox iMIS."""

from __future__ import annotations

from typing import Any

import pytest
from imis_site import ROBIN, ImisSite, KeptJournal, a_shipment

from learning_hub.connectors.base import (
    Accepted,
    ParticipantFound,
    Postponed,
    Refused,
)
from learning_hub.connectors.imis import ImisConnector
from learning_hub.sandbox import seeds

INACTIVE = "10050"
QUERY = {"Query": seeds.CONTACT_QUERY, "Prompt": "Email"}


@pytest.mark.parametrize("email", ["robin.vale@example.org", " Robin.Vale@EXAMPLE.org "])
async def test_one_active_contact_is_found_by_email(email: str, connector: ImisConnector, journal: KeptJournal) -> None:
    """In any letter case, blanks around it left off."""
    assert await connector.find_participant(email, journal) == ParticipantFound(ROBIN)


@pytest.mark.parametrize(
    ("email", "code"),
    [
        ("nobody@example.org", "participant_not_found"),
        ("dana.brook@example.org", "participant_not_found"),
        ("vale@example.org", "participant_not_found"),
        ("   ", "participant_not_found"),
        ("a|b@example.org", "participant_not_found"),
        ("ne:robin.vale@example.org", "participant_not_found"),
        ("front.desk@example.org", "participant_ambiguous"),
    ],
)
async def test_none_or_several_need_a_person(
    email: str, code: str, connector: ImisConnector, journal: KeptJournal
) -> None:
    """Inactive contacts do not count, and parts of an address match nothing."""
    found = await connector.find_participant(email, journal)
    assert isinstance(found, Refused)
    assert (found.code, found.failure_class) == (code, "identity")


async def test_as_is_asks_nobody(site: ImisSite, make_connector: Any, journal: KeptJournal) -> None:
    """The publisher's id is the contact's."""
    connector = make_connector({"ParticipantLookup": "as-is"})
    assert await connector.find_participant(" 10042 ", journal) == ParticipantFound(ROBIN)
    assert site.requests() == []


async def test_as_is_takes_the_publishers_word(site: ImisSite, make_connector: Any, journal: KeptJournal) -> None:
    """A record goes to an inactive contact as well: nobody was asked, and iMIS takes it."""
    connector = make_connector({"ParticipantLookup": "as-is"})
    found = await connector.find_participant(INACTIVE, journal)
    assert found == ParticipantFound(INACTIVE)
    outcome = await connector.send(a_shipment(participant_id=found.participant_id), journal)
    assert isinstance(outcome, Accepted)
    assert [one["PartyId"] for one in site.activities()] == [INACTIVE]


async def test_a_query_of_the_site_finds_the_contact(make_connector: Any, journal: KeptJournal) -> None:
    """By its prompt's name."""
    connector = make_connector({"ParticipantLookup": QUERY})
    assert await connector.find_participant("robin.vale@example.org", journal) == ParticipantFound(ROBIN)
    missing = await connector.find_participant("nobody@example.org", journal)
    several = await connector.find_participant(seeds.SHARED_EMAIL, journal)
    assert isinstance(missing, Refused)
    assert isinstance(several, Refused)
    assert [missing.code, several.code] == ["participant_not_found", "participant_ambiguous"]


async def test_an_older_site_runs_the_query_the_older_way(
    site: ImisSite, make_connector: Any, journal: KeptJournal
) -> None:
    """Where there is no /api/query, prompts go by their order."""
    site.switch(Version="20.2")
    connector = make_connector({"ParticipantLookup": QUERY})
    assert await connector.find_participant("robin.vale@example.org", journal) == ParticipantFound(ROBIN)


async def test_contacts_a_query_shows_count_only_if_active(make_connector: Any, journal: KeptJournal) -> None:
    """A query may forget to leave out who is not active, and may show a contact many times."""
    lookup = {"Query": seeds.ACTIVITIES_QUERY, "Prompt": "ID"}
    connector = make_connector({"ParticipantLookup": lookup})
    for key, party in [("one", ROBIN), ("two", ROBIN), ("three", INACTIVE)]:
        await connector.send(a_shipment(record_key=key, participant_id=party), journal)
    assert await connector.find_participant(ROBIN, journal) == ParticipantFound(ROBIN)
    inactive = await connector.find_participant(INACTIVE, journal)
    assert isinstance(inactive, Refused)
    assert inactive.code == "participant_not_found"


@pytest.mark.parametrize("query", ["$/No/Such", seeds.CLOSED_QUERY])
async def test_a_query_that_cannot_be_run_is_refused(query: str, make_connector: Any, journal: KeptJournal) -> None:
    """It is no fault of the participant."""
    connector = make_connector({"ParticipantLookup": {"Query": query, "Prompt": "Email"}})
    found = await connector.find_participant("robin.vale@example.org", journal)
    assert isinstance(found, Refused)
    assert (found.code, found.failure_class) == ("refused", "refused")
    assert f"The hub could not run the query {query}: iMIS answered" in found.message
    assert "ParticipantLookup in the subscriber's Settings" in found.message


@pytest.mark.parametrize("fault", ["cut-after", "cut-before", "503", "500"])
async def test_a_site_that_does_not_answer_says_nothing_of_the_participant(
    fault: str, site: ImisSite, connector: ImisConnector, journal: KeptJournal
) -> None:
    """The look-up is postponed, and changed nothing."""
    site.fault(fault, Path="/api/PartySummary")
    found = await connector.find_participant("robin.vale@example.org", journal)
    assert isinstance(found, Postponed)
    assert not found.in_doubt
    assert journal.wrote == [False, False]


@pytest.mark.parametrize("wanted", ["ne:1", "EMPTY", "notIn:robin.vale@example.org", "startsWith:robin"])
async def test_an_id_that_looks_like_an_operator_finds_nobody_else(
    wanted: str, make_connector: Any, journal: KeptJournal
) -> None:
    """IMIS would take its beginning for a way to compare."""
    connector = make_connector({"ParticipantLookup": QUERY})
    found = await connector.find_participant(wanted, journal)
    assert isinstance(found, Refused)
    assert found.code == "participant_not_found"


async def test_an_id_that_imis_would_split_is_not_asked_for(
    site: ImisSite, make_connector: Any, journal: KeptJournal
) -> None:
    """A part of it would find somebody else."""
    connector = make_connector({"ParticipantLookup": QUERY})
    found = await connector.find_participant("robin.vale@example.org|x", journal)
    assert isinstance(found, Refused)
    assert found.code == "participant_not_found"
    assert site.requests() == []

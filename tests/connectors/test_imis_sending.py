"""Activities and panel rows that are sent to a sandbox iMIS: their values, templates and limits."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from connectors.imis_site import (
    ACTIVITY,
    ALL_TARGETS,
    AMARA,
    COMPLETION,
    KEY,
    PANEL,
    ROBIN,
    ROW,
    ImisSite,
    RecordedExchanges,
    an_outbound_record,
    stored,
)

from learning_hub.connectors.imis.connector import MOST_EXCHANGES, ImisConnector
from learning_hub.connectors.outcomes import Accepted, Refused
from learning_hub.model.json_values import SpelledDecimal, write_json
from learning_hub.sandbox import seeds
from learning_hub.settings import EXCHANGES_PER_ATTEMPT


async def test_an_activity_arrives(site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges) -> None:
    """Labels become columns, the record key goes along, and the sequence number comes back."""
    outcome = await connector.send(an_outbound_record(), recorder)
    assert outcome == Accepted(record_id="880123", is_confirmed=True)
    [activity] = site.activities()
    assert {name: activity[name] for name in ("PartyId", "ACTIVITY_TYPE", "SOURCE_CODE", "PRODUCT_CODE")} == {
        "PartyId": ROBIN,
        "ACTIVITY_TYPE": "TCLEARNING",
        "SOURCE_CODE": "TopClass",
        "PRODUCT_CODE": "FIRE-201",
    }
    assert (activity["DESCRIPTION"], activity["CATEGORY"], activity["UF_3"]) == ("Fire safety", "CPD", KEY)
    assert activity["EFFECTIVE_DATE"] == "2031-03-14T15:20:00"
    assert recorder.wrote == [False, True, False]


async def test_a_row_arrives_with_its_real_ordinal(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """The answer to a POST says ordinal 0; the real one is found by the key."""
    await connector.send(an_outbound_record(PANEL, record_key="another"), recorder)
    outcome = await connector.send(an_outbound_record(PANEL), recorder)
    assert outcome == Accepted(record_id=f"~{ROBIN}|2", is_confirmed=True)
    assert site.rows()[1]["RecordKey"] == KEY


async def test_numbers_go_out_as_they_are_spelled(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """`1.30` stays `1.30`, and a whole number goes to a column for decimals as a decimal."""
    await connector.send(an_outbound_record(), recorder)
    await connector.send(an_outbound_record(PANEL, payload={**ROW, "Units": 2}), recorder)
    posted = [exchange.body or "" for exchange in recorder.exchanges if exchange.method == "POST"]
    assert '"Name":"UNITS","Value":{"$type":"System.Decimal","$value":1.30}' in posted[1]
    assert '"Name":"Units","Value":{"$type":"System.Decimal","$value":2}' in posted[2]


async def test_dates_go_out_as_rendered(connector: ImisConnector, recorder: RecordedExchanges) -> None:
    """The form of `imis_datetime` is not turned into another one."""
    await connector.send(an_outbound_record(), recorder)
    assert '"Value":"2031-03-14 15:20:00.000"' in recorder.last_written


@ALL_TARGETS
async def test_dates_with_an_offset_go_out_on_the_clock_of_the_site(
    target: dict[str, Any], site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """Also where the site takes no offset; the same time with another offset changes nothing."""
    site.switch(TimeZone="America/New_York", OffsetDates="refuse")
    connector = make_connector({"TimeZone": "America/New_York"})
    name, column = ("EffectiveDate", "EFFECTIVE_DATE") if target == ACTIVITY else ("CourseCompleted", "CourseCompleted")
    payload = {**an_outbound_record(target).payload, name: "2031-11-02T06:30:00Z"}
    first = await connector.send(an_outbound_record(target, payload=payload), recorder)
    assert isinstance(first, Accepted)
    assert first.is_confirmed
    assert stored(site, target)[0][column] == "2031-11-02T01:30:00"
    same = an_outbound_record(target, payload={**payload, name: "2031-11-02T01:30:00-0500"}, record_id=first.record_id)
    assert (await connector.send(same, recorder)).unchanged


@ALL_TARGETS
async def test_the_same_again_writes_nothing(
    target: dict[str, Any], site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A record that already is as it should be is left alone."""
    first = await connector.send(an_outbound_record(target), recorder)
    assert isinstance(first, Accepted)
    before = len(site.requests("PUT"))
    again = await connector.send(an_outbound_record(target, record_id=first.record_id), recorder)
    assert again == Accepted(record_id=first.record_id, unchanged=True, is_confirmed=True)
    assert len(site.requests("PUT")) == before
    assert len(stored(site, target)) == 1


@ALL_TARGETS
async def test_an_update_changes_the_same_record(
    target: dict[str, Any], site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A revision overwrites, and what the template does not map stays as somebody else left it."""
    first = await connector.send(an_outbound_record(target), recorder)
    assert isinstance(first, Accepted)
    units = "Units" if target == ACTIVITY else "units"
    payload = {**an_outbound_record(target).payload}
    payload.pop("Units")
    changed = an_outbound_record(target, record_id=first.record_id, payload={**payload, units: SpelledDecimal("2.5")})
    assert await connector.send(changed, recorder) == Accepted(record_id=first.record_id, is_confirmed=True)
    [record] = stored(site, target)
    assert write_json(record["UNITS" if target == ACTIVITY else "Units"]) == b"2.5"


async def test_a_put_has_the_whole_record(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Where a site clears what a PUT leaves out, what others wrote into the record stays all the same."""
    site.switch(OmittedInPut="cleared")
    first = await connector.send(an_outbound_record(PANEL, payload={**ROW, "CEUType": "by hand"}), recorder)
    assert isinstance(first, Accepted)
    update = an_outbound_record(PANEL, payload={**ROW, "Course": "Water"}, record_id=first.record_id)
    assert isinstance(await connector.send(update, recorder), Accepted)
    assert [(row["Course"], row["CEUType"]) for row in site.rows()] == [("Water", "by hand")]


@ALL_TARGETS
async def test_null_clears_the_field(
    target: dict[str, Any], site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A field emptied at the source is emptied at iMIS, and leaving it out leaves it alone."""
    text = "CeuType" if target == ACTIVITY else "CreditType"
    first = await connector.send(an_outbound_record(target), recorder)
    assert isinstance(first, Accepted)
    payload = {**an_outbound_record(target).payload, text: None, "Units": None}
    cleared = await connector.send(an_outbound_record(target, record_id=first.record_id, payload=payload), recorder)
    assert cleared == Accepted(record_id=first.record_id, is_confirmed=True)
    [record] = stored(site, target)
    assert record["CATEGORY" if target == ACTIVITY else "CreditType"] is None
    assert record["UNITS" if target == ACTIVITY else "Units"] is None
    assert '"Value":null' in recorder.last_written


async def test_null_is_left_out_of_a_new_record(connector: ImisConnector, recorder: RecordedExchanges) -> None:
    """There is nothing to clear yet."""
    await connector.send(an_outbound_record(payload={**COMPLETION, "CeuType": None}), recorder)
    assert "CATEGORY" not in recorder.last_written


async def test_a_version_that_passes_null_over_gets_an_empty_text(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A field that cannot be cleared at all is reported."""
    site.switch(NullInPut="unchanged")
    first = await connector.send(an_outbound_record(PANEL), recorder)
    assert isinstance(first, Accepted)
    payload = {**ROW, "CreditType": None}
    outcome = await connector.send(an_outbound_record(PANEL, record_id=first.record_id, payload=payload), recorder)
    assert outcome == Accepted(record_id=first.record_id, is_confirmed=True)
    assert site.rows()[0]["CreditType"] == ""


async def test_what_stays_set_is_named_whatever_it_is(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A text is emptied; a date and a number that a version passes over are reported."""
    site.switch(NullInPut="unchanged")
    full = {**COMPLETION, "NOTE": "kept", "THRU_DATE": "2031-03-14 00:00:00.000"}
    first = await connector.send(an_outbound_record(payload=full), recorder)
    assert isinstance(first, Accepted)
    cleared = {**full, "NOTE": None, "THRU_DATE": None, "Units": None}
    outcome = await connector.send(an_outbound_record(record_id=first.record_id, payload=cleared), recorder)
    assert isinstance(outcome, Accepted)
    assert not site.activities()[0]["NOTE"]
    assert outcome.note == "iMIS did not clear UNITS, THRU_DATE."
    assert not outcome.is_confirmed
    only_a_number = {**COMPLETION, "Units": None}
    before = len(site.requests("PUT"))
    outcome = await connector.send(an_outbound_record(record_id=first.record_id, payload=only_a_number), recorder)
    assert isinstance(outcome, Accepted)
    assert outcome.note == "iMIS did not clear UNITS."
    assert len(site.requests("PUT")) == before + 1


@pytest.mark.parametrize(
    ("target", "payload", "place"),
    [
        (ACTIVITY, {**COMPLETION, "Colour": "red"}, "Colour"),
        (ACTIVITY, {**COMPLETION, "UF_3": "x"}, "UF_3"),
        (ACTIVITY, {**COMPLETION, "Description": ["a"]}, "Description"),
        (PANEL, {**ROW, "Colour": "red"}, "Colour"),
        (PANEL, {**ROW, "Course": {"a": 1}}, "Course"),
        (ACTIVITY, {**COMPLETION, "Units": 2**96}, "Units"),
        (PANEL, {**ROW, "Units": SpelledDecimal("-1e29")}, "Units"),
    ],
)
async def test_what_the_target_cannot_take_is_an_error_of_the_template(
    target: dict[str, Any],
    payload: Any,
    place: str,
    site: ImisSite,
    connector: ImisConnector,
    recorder: RecordedExchanges,
) -> None:
    """It is found before anything is written, for iMIS might pass it over in silence."""
    outcome = await connector.send(an_outbound_record(target, payload=payload), recorder)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.failure_class) == ("template_error", "mapping")
    assert place in outcome.message
    assert site.requests("POST", "/api") == []


async def test_a_key_property_that_is_no_column_is_a_matter_of_the_target(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Nothing is written, and the template has no part in it."""
    outcome = await connector.send(an_outbound_record({**PANEL, "KeyProperty": "Nowhere"}), recorder)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.failure_class) == ("refused", "mapping")
    assert "has no column Nowhere" in outcome.message
    assert "KeyProperty in the subscription's Target" in outcome.message
    assert site.requests("POST", "/api") == []


@ALL_TARGETS
@pytest.mark.parametrize("party", ["99999", "robin.vale@example.org"])
async def test_a_contact_that_is_not_there_is_a_matter_of_identity(
    target: dict[str, Any], party: str, site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """An id taken as it is that leads nowhere, or that is none: recognized by the refusal, with iMIS's own words."""
    outcome = await connector.send(an_outbound_record(target, participant_id=party), recorder)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.failure_class) == ("participant_not_found", "identity")
    assert party in outcome.message
    assert stored(site, target) == []


async def test_a_try_makes_no_more_exchanges_than_its_lease_allows(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """The longest way: looked up by query at an older site, moved from another contact, a token denied on the way."""
    query = {"Query": seeds.CONTACT_QUERY, "Prompt": "E-mail address"}
    connector = make_connector({"ParticipantLookup": query})
    site.switch(Version="20.2")
    await connector.send(an_outbound_record(PANEL, participant_id=AMARA), RecordedExchanges())
    site.revoke_tokens()
    connector = make_connector({"ParticipantLookup": query})
    await connector.find_participant("robin.vale@example.org", recorder)
    site.revoke_tokens()
    moved = an_outbound_record(PANEL, record_id=f"~{AMARA}|7")
    assert isinstance(await connector.send(moved, recorder), Accepted)
    assert len(recorder.exchanges) == MOST_EXCHANGES == EXCHANGES_PER_ATTEMPT


async def test_a_column_that_keeps_no_key_stops_the_delivery(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """Otherwise every further try would add a record."""
    site.switch(LongActivityText="cut")
    connector = make_connector({"ActivityKeyProperty": "OTHER_CODE"})
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.failure_class) == ("refused", "mapping")
    assert "OTHER_CODE" in outcome.message


@pytest.mark.parametrize(
    "switches",
    [
        {"UnknownFilter": "ignore", "UnknownPanelProperty": "refuse", "UnknownActivityProperty": "refuse"},
        {"PostOrdinal": "real", "PutBody": "empty", "PutStatus": 201, "DeleteStatus": 204},
        {"PostStatus": 202, "OmittedInPut": "cleared", "EmptyText": "null"},
        {"PostStatus": 200, "LateType": "refuse", "Metadata": 501, "TextComparison": "exact"},
        {"WrapPrimitives": False, "WrapDates": True, "ForcedFraction": False, "HtmlInText": "all"},
        {"OperatorCase": "exact", "ActivityPartyFilter": False, "OffsetDates": "refuse", "HtmlInText": "descriptions"},
        {"ExpiresInAsText": True, "TokenDates": False, "WwwAuthenticate": False},
        {"Version": "20.2"},
    ],
    ids=str,
)
@ALL_TARGETS
async def test_what_the_reference_leaves_open_changes_nothing(
    target: dict[str, Any],
    switches: dict[str, Any],
    site: ImisSite,
    connector: ImisConnector,
    recorder: RecordedExchanges,
) -> None:
    """Written, unchanged, updated, cleared, removed: the same at every version of iMIS."""
    site.switch(**switches)
    words = "Description" if target == ACTIVITY else "Course"
    payload = {**an_outbound_record(target).payload, words: "O'Hara & <sons>"}
    first = await connector.send(an_outbound_record(target, payload=payload), recorder)
    assert isinstance(first, Accepted)
    again = an_outbound_record(target, payload=payload, record_id=first.record_id)
    unchanged = Accepted(record_id=first.record_id, unchanged=True, is_confirmed=True)
    assert await connector.send(again, recorder) == unchanged
    update = msgspec.structs.replace(again, payload={**payload, "Units": None})
    assert await connector.send(update, recorder) == Accepted(record_id=first.record_id, is_confirmed=True)
    assert await connector.send(update, recorder) == unchanged
    [record] = stored(site, target)
    assert record["DESCRIPTION" if target == ACTIVITY else "Course"] == "O'Hara & <sons>"
    removal = msgspec.structs.replace(again, payload={}, action="remove")
    assert await connector.remove(removal, recorder) == Accepted(record_id=first.record_id)
    assert stored(site, target) == []


async def test_many_at_once_share_one_sign_in(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Senders side by side wait for one token, and each record is written once."""
    keys = [f"key-{number}" for number in range(20)]
    outcomes = await asyncio.gather(*(connector.send(an_outbound_record(record_key=key), recorder) for key in keys))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert len(site.requests(path="/token")) == 1
    assert sorted(one["UF_3"] for one in site.activities()) == sorted(keys)

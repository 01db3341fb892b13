"""Bringing activities and panel rows to a sandbox iMIS: once, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from connectors.imis_site import (
    ACTIVITY,
    AMARA,
    COMPLETION,
    KEY,
    PANEL,
    PANEL_WITHOUT_KEY,
    ROBIN,
    ROW,
    ImisSite,
    RecordedExchanges,
    an_outbound_record,
)

from learning_hub.connectors.base import Comparison
from learning_hub.connectors.imis.connector import MOST_EXCHANGES, ImisConnector
from learning_hub.connectors.outcomes import Accepted, Postponed, Refused, Unknown
from learning_hub.model.json_values import SpelledDecimal, write_json
from learning_hub.sandbox import seeds
from learning_hub.settings import EXCHANGES_PER_ATTEMPT

WITH_KEY = pytest.mark.parametrize("target", [ACTIVITY, PANEL], ids=["activity", "panel"])
ALL_TARGETS = pytest.mark.parametrize(
    "target", [ACTIVITY, PANEL, PANEL_WITHOUT_KEY], ids=["activity", "panel", "keyless"]
)
Change = Callable[..., Any]


def stored(site: ImisSite, target: dict[str, Any]) -> list[dict[str, Any]]:
    return site.activities() if target == ACTIVITY else site.rows(target)


def path(target: dict[str, Any]) -> str:
    return f"/api/{target.get('Name', 'Activity')}"


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
    same = an_outbound_record(target, payload={**payload, name: "2031-11-02T01:30:00-05:00"}, record_id=first.record_id)
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
    """What cannot be cleared at all is told."""
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
    """A text is emptied; a date and a number that a version passes over are told."""
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


@WITH_KEY
async def test_a_lost_answer_is_found_again(
    target: dict[str, Any], site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """The line is cut after the record was stored: unknown, then adopted, and there is one record."""
    site.fault("cut-after", Method="POST", Path=path(target))
    lost = await connector.send(an_outbound_record(target), recorder)
    assert isinstance(lost, Unknown)
    assert (lost.code, lost.subscriber_is_away) == ("connection_failed", True)
    found = await connector.send(an_outbound_record(target, outcome_unknown=True), recorder)
    assert isinstance(found, Accepted)
    assert found.record_id == ("880123" if target == ACTIVITY else f"~{ROBIN}|1")
    assert len(stored(site, target)) == 1


async def test_a_row_without_key_is_adopted_by_its_values(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """After a lost answer the contact's equal row that is no other delivery's is the one."""
    other = await connector.send(an_outbound_record(PANEL_WITHOUT_KEY), recorder)
    assert isinstance(other, Accepted)
    site.fault("cut-after", Method="POST", Path=path(PANEL_WITHOUT_KEY))
    assert isinstance(await connector.send(an_outbound_record(PANEL_WITHOUT_KEY), recorder), Unknown)
    others = frozenset({str(other.record_id)})
    again = an_outbound_record(PANEL_WITHOUT_KEY, outcome_unknown=True, others_record_ids=others)
    assert await connector.send(again, recorder) == Accepted(record_id=f"~{ROBIN}|2", unchanged=True, is_confirmed=True)
    assert len(site.rows(PANEL_WITHOUT_KEY)) == 2


async def test_what_stays_ambiguous_is_left_to_a_person(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Two rows that could both be it: nothing is written."""
    for _ in range(2):
        await connector.send(an_outbound_record(PANEL_WITHOUT_KEY), recorder)
    outcome = await connector.send(an_outbound_record(PANEL_WITHOUT_KEY, outcome_unknown=True), recorder)
    assert isinstance(outcome, Refused)
    assert outcome.code == "outcome_unknown"
    assert len(site.rows(PANEL_WITHOUT_KEY)) == 2


async def test_equal_source_records_have_rows_of_their_own(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Two completions with the same values are two rows, and each is updated by itself."""
    one = await connector.send(an_outbound_record(PANEL_WITHOUT_KEY), recorder)
    assert isinstance(one, Accepted)
    others = frozenset({str(one.record_id)})
    two = await connector.send(an_outbound_record(PANEL_WITHOUT_KEY, others_record_ids=others), recorder)
    assert isinstance(two, Accepted)
    assert [one.record_id, two.record_id] == [f"~{ROBIN}|1", f"~{ROBIN}|2"]
    changed = an_outbound_record(PANEL_WITHOUT_KEY, record_id=two.record_id, payload={**ROW, "Course": "Fire"})
    await connector.send(changed, recorder)
    assert [row["Course"] for row in site.rows(PANEL_WITHOUT_KEY)] == ["Fire safety", "Fire"]


async def test_an_equal_row_that_is_nobodys_is_adopted(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Without a key a row that another system wrote already is not written a second time."""
    await connector.send(an_outbound_record(PANEL_WITHOUT_KEY), recorder)
    outcome = await connector.send(an_outbound_record(PANEL_WITHOUT_KEY, others_record_ids=frozenset()), recorder)
    assert outcome == Accepted(record_id=f"~{ROBIN}|1", unchanged=True, is_confirmed=True)
    assert len(site.rows(PANEL_WITHOUT_KEY)) == 1


@WITH_KEY
async def test_what_was_cut_before_it_was_stored_is_sent_again(
    target: dict[str, Any], site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Nothing is found by the key, so it is written."""
    site.fault("cut-before", Method="POST", Path=path(target))
    assert isinstance(await connector.send(an_outbound_record(target), recorder), Unknown)
    assert isinstance(await connector.send(an_outbound_record(target, outcome_unknown=True), recorder), Accepted)
    assert len(stored(site, target)) == 1


@WITH_KEY
async def test_a_lost_answer_to_an_update_is_unknown(
    target: dict[str, Any], site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """The next try finds the record as it should be."""
    first = await connector.send(an_outbound_record(target), recorder)
    assert isinstance(first, Accepted)
    payload = {**an_outbound_record(target).payload, "Units": SpelledDecimal("9")}
    update = an_outbound_record(target, record_id=first.record_id, payload=payload)
    site.fault("cut-after", Method="PUT")
    assert isinstance(await connector.send(update, recorder), Unknown)
    again = await connector.send(msgspec.structs.replace(update, outcome_unknown=True), recorder)
    assert again == Accepted(record_id=first.record_id, unchanged=True, is_confirmed=True)


async def test_an_ordinal_that_cannot_be_read_leaves_the_outcome_unknown(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """The row was written; without its ordinal a revision would write a second one."""
    site.fault("503", Method="GET", Path=path(PANEL))
    outcome = await connector.send(an_outbound_record(PANEL), recorder)
    assert isinstance(outcome, Unknown)
    assert outcome.subscriber_is_away
    again = await connector.send(an_outbound_record(PANEL, outcome_unknown=True), recorder)
    assert again == Accepted(record_id=f"~{ROBIN}|1", unchanged=True, is_confirmed=True)


@WITH_KEY
async def test_a_record_deleted_at_imis_is_written_anew(
    target: dict[str, Any], site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """The known identity leads nowhere, and neither does the key."""
    first = await connector.send(an_outbound_record(target), recorder)
    assert isinstance(first, Accepted)
    sent = an_outbound_record(target, record_id=first.record_id)
    await connector.remove(sent, recorder)
    assert isinstance(await connector.send(sent, recorder), Accepted)
    assert len(stored(site, target)) == 1


async def test_an_ordinal_given_out_again_is_anothers(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A row with another key is left alone, though it has the identity that ours had."""
    first = await connector.send(an_outbound_record(PANEL), recorder)
    assert isinstance(first, Accepted)
    await connector.remove(an_outbound_record(PANEL, record_id=first.record_id), recorder)
    other = await connector.send(an_outbound_record(PANEL, record_key="another"), recorder)
    assert isinstance(other, Accepted)
    assert other.record_id == first.record_id
    again = await connector.send(an_outbound_record(PANEL, record_id=first.record_id), recorder)
    assert again == Accepted(record_id=f"~{ROBIN}|2", is_confirmed=True)
    removed = await connector.remove(an_outbound_record(PANEL, record_id=first.record_id), recorder)
    assert removed == Accepted(record_id=f"~{ROBIN}|2")
    assert [row["RecordKey"] for row in site.rows()] == ["another"]


@WITH_KEY
async def test_a_record_moves_with_its_source_to_another_contact(
    target: dict[str, Any], site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """The participant was corrected: one record, with the right contact."""
    first = await connector.send(an_outbound_record(target), recorder)
    assert isinstance(first, Accepted)
    moved = an_outbound_record(target, record_id=first.record_id, participant_id=AMARA)
    assert isinstance(await connector.send(moved, recorder), Accepted)
    assert [row["PartyId" if target == ACTIVITY else "ID"] for row in stored(site, target)] == [AMARA]


@ALL_TARGETS
async def test_taking_back_deletes_the_record(
    target: dict[str, Any], site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Taken back twice is taken back once."""
    first = await connector.send(an_outbound_record(target), recorder)
    assert isinstance(first, Accepted)
    removal = an_outbound_record(target, action="remove", payload={}, record_id=first.record_id)
    assert await connector.remove(removal, recorder) == Accepted(record_id=first.record_id)
    assert stored(site, target) == []
    again = await connector.remove(removal, recorder)
    assert isinstance(again, Accepted)
    assert again.unchanged


@WITH_KEY
async def test_taking_back_finds_the_record_by_its_key(
    target: dict[str, Any], site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Also where its identity never became known."""
    await connector.send(an_outbound_record(target), recorder)
    removed = await connector.remove(an_outbound_record(target, action="remove", payload={}), recorder)
    assert isinstance(removed, Accepted)
    assert not removed.unchanged
    assert stored(site, target) == []


@WITH_KEY
async def test_the_record_can_be_compared_with_what_was_sent(
    target: dict[str, Any], connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Whether it stands there, and in which columns it differs, with both values."""
    assert await connector.compare(an_outbound_record(target), recorder) == Comparison(record_id=None, differences=[])
    first = await connector.send(an_outbound_record(target), recorder)
    assert isinstance(first, Accepted)
    same = Comparison(record_id=first.record_id, differences=[])
    assert await connector.compare(an_outbound_record(target), recorder) == same
    other = an_outbound_record(target, payload={**an_outbound_record(target).payload, "Units": SpelledDecimal("7")})
    comparison = await connector.compare(other, recorder)
    assert isinstance(comparison, Comparison)
    [difference] = comparison.differences
    assert difference.field == ("UNITS" if target == ACTIVITY else "Units")
    assert (difference.sent, difference.held) == (SpelledDecimal("7"), SpelledDecimal("1.30"))


async def test_a_record_that_cannot_be_read_back_is_accepted_and_not_confirmed(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """It was taken; that it could not be asked afterwards is no failure."""
    site.fault("503", Method="GET", Path="/api/Activity")
    assert await connector.send(an_outbound_record(), recorder) == Accepted(record_id="880123")


async def test_a_record_that_vanished_is_no_success(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """The answer said that it was written, and iMIS has nothing of it: it is asked once more later."""
    site.fault("404", Method="GET", Path="/api/Activity")
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Unknown)
    assert outcome.code == "outcome_unknown"


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
    """An id taken as it is that leads nowhere, or that is none: told from the refusal, with iMIS's own words."""
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
    """Written, unchanged, updated, cleared, taken back: the same at every version of iMIS."""
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


@pytest.mark.parametrize(
    ("status", "code", "is_away", "in_doubt"),
    [
        ("408", "timed_out", False, True),
        ("429", "rate_limited", False, False),
        ("500", "subscriber_error", False, True),
        ("502", "connection_failed", True, True),
        ("503", "connection_failed", True, False),
        ("504", "timed_out", True, True),
    ],
)
async def test_a_failure_that_may_pass_is_postponed(
    status: str,
    code: str,
    is_away: bool,
    in_doubt: bool,
    site: ImisSite,
    connector: ImisConnector,
    recorder: RecordedExchanges,
) -> None:
    """A lone 500 says nothing of the site; 502 to 504 say that it is away."""
    site.fault(status, Method="POST", Path="/api/Activity")
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Postponed)
    assert (outcome.code, outcome.subscriber_is_away, outcome.in_doubt) == (code, is_away, in_doubt)
    assert outcome.failure_class == "unavailable"


@pytest.mark.parametrize("status", ["403", "404", "409", "413", "501"])
async def test_a_failure_that_stays_is_refused(
    status: str, site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A person must look."""
    site.fault(status, Method="POST", Path="/api/Activity")
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.failure_class) == ("refused", "refused")
    assert status in outcome.message


async def test_a_wait_that_imis_asks_for_is_passed_on(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """`Retry-After` in seconds and as a date."""
    site.fault("429", Method="POST", Path="/api/Activity", RetryAfter="17")
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Postponed)
    assert outcome.retry_after_seconds == 17
    site.fault("429", Method="POST", Path="/api/Activity", RetryAfter="Fri, 31 Dec 2999 23:59:59 GMT")
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Postponed)
    assert (outcome.retry_after_seconds or 0) > 10**9


async def test_imis_says_why_in_its_own_words(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A validation error reaches staff."""
    outcome = await connector.send(an_outbound_record(payload={**COMPLETION, "ActivityType": "DANCING"}), recorder)
    assert isinstance(outcome, Refused)
    assert "ACTIVITY_TYPE" in outcome.message
    outcome = await connector.send(an_outbound_record(PANEL, payload={**ROW, "CourseCode": "x" * 81}), recorder)
    assert isinstance(outcome, Refused)
    assert "CourseCode" in outcome.message


async def test_a_slow_answer_to_a_write_is_unknown(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """And to a read it is postponed, for nothing was changed."""
    connector = make_connector(timeout_seconds=1.5)
    first = await connector.send(an_outbound_record(), recorder)
    site.fault("hold", Method="POST", Path="/api/Activity")
    outcome = await connector.send(an_outbound_record(record_key="another"), recorder)
    assert isinstance(outcome, Unknown)
    assert outcome.code == "timed_out"
    site.fault("hold", Method="GET", Path="/api/Activity")
    outcome = await connector.send(an_outbound_record(record_id=first.record_id), recorder)
    assert isinstance(outcome, Postponed)
    assert (outcome.code, outcome.subscriber_is_away) == ("timed_out", True)


async def test_rubbish_in_place_of_imis_is_no_success(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A page that answers everything with 200 swallows no record."""
    site.fault("rubbish", Method="POST", Path="/api/Activity")
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Unknown)
    assert (outcome.code, outcome.subscriber_is_away) == ("subscriber_error", False)
    site.fault("rubbish", Method="GET", Path="/api/PartySummary")
    found = await connector.find_participant("robin.vale@example.org", recorder)
    assert isinstance(found, Postponed)
    assert found.code == "subscriber_error"


async def test_a_single_row_is_the_contacts_only_one(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A source with one row for each contact has no ordinals; a second source record is refused there."""
    site.make_single_panel("LH_Profile", ["Course", "RecordKey"])
    target = {"Kind": "panel", "Name": "LH_Profile", "KeyProperty": "RecordKey"}
    first = await connector.send(an_outbound_record(target, payload={"Course": "Fire"}), recorder)
    assert first == Accepted(record_id=ROBIN, is_confirmed=True)
    update = an_outbound_record(target, payload={"Course": "Water"}, record_id=ROBIN)
    assert await connector.send(update, recorder) == Accepted(record_id=ROBIN, is_confirmed=True)
    lost = an_outbound_record(target, payload={"Course": "Water"}, outcome_unknown=True)
    assert await connector.send(lost, recorder) == Accepted(record_id=ROBIN, unchanged=True, is_confirmed=True)
    second = await connector.send(an_outbound_record(target, payload={"Course": "Air"}, record_key="another"), recorder)
    assert isinstance(second, Refused)
    assert [row["Course"] for row in site.rows(target)] == ["Water"]


async def test_a_closed_panel_is_explained(
    site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """The usual reason is named."""
    site.open_panel(PANEL["Name"], is_open=False)
    outcome = await connector.send(an_outbound_record(PANEL), recorder)
    assert isinstance(outcome, Refused)
    assert "Available via the REST API" in outcome.message
    site.open_panel(PANEL_WITHOUT_KEY["Name"], is_open=False)
    for target, doubted in ((PANEL, True), (PANEL_WITHOUT_KEY, False)):
        outcome = await connector.send(an_outbound_record(target, outcome_unknown=doubted), recorder)
        assert isinstance(outcome, Refused)
        assert f"look for a record in {target['Name']}: iMIS answered 404" in outcome.message
        assert "Available via the REST API" in outcome.message


async def test_a_forbidden_target_gets_nothing(
    site: ImisSite, make_connector: Any, recorder: RecordedExchanges
) -> None:
    """Not even a sign-in."""
    from learning_hub.connectors.addresses import Guard

    connector = make_connector(guard=Guard())
    outcome = await connector.send(an_outbound_record(), recorder)
    assert isinstance(outcome, Refused)
    assert outcome.code == "target_not_allowed"
    assert site.requests() == []


async def test_a_path_in_the_address_is_kept(site: ImisSite, make_connector: Any, recorder: RecordedExchanges) -> None:
    """Older sites answer below one; a slash at the end does no harm."""
    site.switch(BasePath="/Asi.Scheduler_Sandbox")
    connector = make_connector({"BaseUrl": f"{site.address}/Asi.Scheduler_Sandbox/"})
    assert isinstance(await connector.send(an_outbound_record(), recorder), Accepted)

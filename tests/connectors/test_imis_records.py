"""The record of a source record at a sandbox iMIS: found again, adopted, moved, removed and compared."""

from __future__ import annotations

from typing import Any

import msgspec
from connectors.imis_site import (
    ACTIVITY,
    ALL_TARGETS,
    AMARA,
    PANEL,
    PANEL_WITHOUT_KEY,
    ROBIN,
    ROW,
    TARGETS_WITH_KEY,
    ImisSite,
    RecordedExchanges,
    an_outbound_record,
    path,
    stored,
)

from learning_hub.connectors.base import Comparison
from learning_hub.connectors.imis.connector import ImisConnector
from learning_hub.connectors.outcomes import Accepted, Refused, Unknown
from learning_hub.model.json_values import SpelledDecimal


@TARGETS_WITH_KEY
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


@TARGETS_WITH_KEY
async def test_what_was_cut_before_it_was_stored_is_sent_again(
    target: dict[str, Any], site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Nothing is found by the key, so it is written."""
    site.fault("cut-before", Method="POST", Path=path(target))
    assert isinstance(await connector.send(an_outbound_record(target), recorder), Unknown)
    assert isinstance(await connector.send(an_outbound_record(target, outcome_unknown=True), recorder), Accepted)
    assert len(stored(site, target)) == 1


@TARGETS_WITH_KEY
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


@TARGETS_WITH_KEY
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


@TARGETS_WITH_KEY
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
async def test_a_removal_deletes_the_record(
    target: dict[str, Any], site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """A record that is removed twice is deleted once."""
    first = await connector.send(an_outbound_record(target), recorder)
    assert isinstance(first, Accepted)
    removal = an_outbound_record(target, action="remove", payload={}, record_id=first.record_id)
    assert await connector.remove(removal, recorder) == Accepted(record_id=first.record_id)
    assert stored(site, target) == []
    again = await connector.remove(removal, recorder)
    assert isinstance(again, Accepted)
    assert again.unchanged


@TARGETS_WITH_KEY
async def test_a_removal_finds_the_record_by_its_key(
    target: dict[str, Any], site: ImisSite, connector: ImisConnector, recorder: RecordedExchanges
) -> None:
    """Also where its identity never became known."""
    await connector.send(an_outbound_record(target), recorder)
    removed = await connector.remove(an_outbound_record(target, action="remove", payload={}), recorder)
    assert isinstance(removed, Accepted)
    assert not removed.unchanged
    assert stored(site, target) == []


@TARGETS_WITH_KEY
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

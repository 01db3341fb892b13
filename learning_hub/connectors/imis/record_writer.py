"""
Writing a record to iMIS, finding, comparing and removing it, so that a source record never has two records.

iMIS has no idempotency key. The record key in a column of the record takes its place: before the hub writes a record
that may exist already, it searches for that key and adopts the record that it finds. Rows of a panel source without
such a column are matched by their values, which is weaker; an ambiguous match is left to a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from learning_hub.connectors.base import Comparison, Difference, OutboundRecord, Recorder
from learning_hub.connectors.imis.api import Api, open_source
from learning_hub.connectors.imis.record import ExistingRecord, Record, party_of, record_id_of
from learning_hub.connectors.imis.responses import Failed
from learning_hub.connectors.imis.wire import (
    Json,
    changed_entity,
    differing,
    identity_of,
    lookup,
    new_entity,
    properties_of,
    unwrap,
)
from learning_hub.connectors.outcomes import Accepted, Refused, Unknown


class RecordWriter:
    """Writes records to the site of *api*; *zone* is the time zone of the site's dates."""

    def __init__(self, api: Api, zone: ZoneInfo) -> None:
        self._api = api
        self._zone = zone

    async def write(self, record: Record, outbound: OutboundRecord, recorder: Recorder) -> Accepted:
        """
        Write the record, so that iMIS has it exactly once.

        A record of another contact is deleted first: the source record was corrected, and iMIS cannot move a record.
        If the hub dies in between, the next attempt finds no record and inserts it.

        Raises:
            Failed: The record was not written, or that is not known.
        """
        existing, before = await self._find(record, outbound, recorder)
        if existing is not None and party_of(existing, record) != record.party_id:
            await self._api.delete(record.entity, existing.record_id, recorder)
            existing = None
        if existing is not None and (updated := await self._update(record, existing, recorder)):
            return updated
        return await self._insert(record, before, recorder)

    async def confirmed(self, record: Record, accepted: Accepted, recorder: Recorder) -> Accepted:
        """
        *accepted*, confirmed where iMIS holds the record as it was sent; a note names the columns that differ.

        A record that cannot be read now stays accepted, unconfirmed.

        Raises:
            Failed: iMIS accepted the record and does not have it.
        """
        if accepted.unchanged:
            return msgspec.structs.replace(accepted, is_confirmed=True)
        if accepted.is_confirmed or accepted.record_id is None:
            return accepted
        try:
            entity = await self._api.get(record.entity, accepted.record_id, recorder)
        except Failed:
            return accepted
        if entity is None:
            raise Failed(_not_found_after_write(record, accepted.record_id))
        otherwise = differing(record.stored_values, properties_of(entity), self._zone)
        note = accepted.note or (
            f"iMIS holds {', '.join(otherwise)} otherwise than it was sent." if otherwise else None
        )
        return msgspec.structs.replace(accepted, is_confirmed=not otherwise, note=note)

    async def compare(self, record: Record, outbound: OutboundRecord, recorder: Recorder) -> Comparison:
        """
        Compare the source record's record at iMIS with what it should be.

        Raises:
            Failed: iMIS could not be asked.
        """
        records = await self._all_of_source(record, outbound, recorder)
        if not records:
            return Comparison(record_id=None, differences=[])
        existing, *surplus = records
        sent, held = record.stored_values, existing.values
        differences = [
            Difference(field=name, sent=sent[name], held=unwrap(lookup(held, name)))
            for name in differing(sent, held, self._zone)
        ]
        return Comparison(
            record_id=existing.record_id,
            differences=differences,
            surplus_record_ids=[one.record_id for one in surplus],
        )

    async def remove(self, record: Record, outbound: OutboundRecord, recorder: Recorder) -> Accepted:
        """
        Delete the source record's record; afterwards iMIS has none.

        Raises:
            Failed: iMIS may still have one.
        """
        existing = await self._by_record_id(record, outbound, recorder)
        records = [existing] if existing else []
        if not records and record.key_property:
            records = await self._with_key(record, recorder)
        if not records and not record.key_property and outbound.record_id is None:
            # An earlier attempt may have left a row, which cannot be identified without a key.
            raise Failed(_row_not_known(record))
        deleted = [await self._api.delete(record.entity, one.record_id, recorder) for one in records]
        if any(deleted):
            return Accepted(record_id=records[0].record_id)
        return Accepted(record_id=outbound.record_id, unchanged=True, note="There was no record to remove.")

    async def _all_of_source(
        self, record: Record, outbound: OutboundRecord, recorder: Recorder
    ) -> list[ExistingRecord]:
        """The source record's record by its identity, and then all others with its key."""
        known = await self._by_record_id(record, outbound, recorder)
        records = await self._with_key(record, recorder) if record.key_property else []
        return [known, *(one for one in records if one.record_id != known.record_id)] if known else records

    async def _by_record_id(
        self, record: Record, outbound: OutboundRecord, recorder: Recorder
    ) -> ExistingRecord | None:
        """The record that an earlier delivery wrote, by its identity; None where it is gone or belongs to another."""
        if outbound.record_id is None:
            return None
        entity = await self._api.get(record.entity, outbound.record_id, recorder)
        if entity is None:
            return None
        existing = ExistingRecord(record_id=outbound.record_id, entity=entity)
        key = _key_in(existing, record)
        # iMIS reuses ordinals of deleted rows, so a row with another key belongs to another source record.
        return existing if key in (None, "", record.key.casefold()) else None

    async def _find(
        self, record: Record, outbound: OutboundRecord, recorder: Recorder
    ) -> tuple[ExistingRecord | None, list[ExistingRecord]]:
        """The source record's record if iMIS has one, and the contact's rows where the source has no key column."""
        existing = await self._by_record_id(record, outbound, recorder)
        if existing is not None:
            return existing, []
        is_in_doubt = outbound.outcome_unknown or outbound.may_exist or outbound.record_id is not None
        if record.key_property:
            records = await self._with_key(record, recorder) if is_in_doubt else []
            return (records[0] if records else None), []
        rows = await self._rows_of_contact(record, recorder)
        return self._match(record, rows, outbound), rows

    def _match(self, record: Record, rows: Sequence[ExistingRecord], outbound: OutboundRecord) -> ExistingRecord | None:
        """
        The contact's row that equals in all mapped values and belongs to no other delivery.

        Where the hub did not look up whose the rows are, a first attempt adopts none: an additional equal row is
        better than one row for two source records.
        """
        if outbound.others_record_ids is None and not outbound.outcome_unknown:
            return None
        others = outbound.others_record_ids or frozenset()
        equal = [row for row in self._equal(record, rows) if row.record_id not in others]
        if len(equal) > 1:
            raise Failed(_ambiguous(record, equal))
        return equal[0] if equal else None

    async def _update(self, record: Record, existing: ExistingRecord, recorder: Recorder) -> Accepted | None:
        """Update the existing record; None where it was deleted meanwhile."""
        record_id = existing.record_id
        if not differing(record.stored_values, existing.values, self._zone):
            return Accepted(record_id=record_id, unchanged=True)
        # All mapped values are set, also the equal ones: text may have come with HTML's characters encoded.
        document = changed_entity(existing.entity, record.values)
        written = await self._api.replace(record.entity, record_id, document, recorder)
        if written is None:
            return None
        still_set = self._still_set(record, written.entity)
        if written.entity is not None and (texts := _texts_among(still_set, written.entity)):
            emptied = await self._empty(record, written.entity, texts, record_id, recorder)
            still_set = still_set if emptied is None else emptied
        note = f"iMIS did not clear {', '.join(still_set)}." if still_set else None
        return Accepted(record_id=record_id, note=note)

    async def _empty(
        self, record: Record, entity: Json, texts: list[str], record_id: str, recorder: Recorder
    ) -> list[str] | None:
        """Send an empty text where iMIS ignored null; the columns that keep a value, None where that was refused."""
        document = changed_entity(entity, dict.fromkeys(texts, ""))
        try:
            written = await self._api.replace(record.entity, record_id, document, recorder)
        except Failed as failed:
            if isinstance(failed.outcome, Refused):
                # The update itself was accepted and stays; only the empty texts were refused.
                return None
            raise
        return self._still_set(record, written.entity) if written else []

    def _still_set(self, record: Record, stored: Json | None) -> list[str]:
        """The columns that were sent null and still have a value: some versions of iMIS ignore null."""
        if stored is None:
            return []
        cleared = {name: None for name, value in record.values.items() if value is None}
        return differing(cleared, properties_of(stored), self._zone)

    async def _insert(self, record: Record, before: Sequence[ExistingRecord], recorder: Recorder) -> Accepted:
        values = {record.party_columns[0]: record.party_id, **record.values}
        document = new_entity(record.entity, record.party_id, values)
        created = (
            await self._api.create(
                record.entity, document, recorder, party_id=record.party_id, party_columns=record.party_columns
            )
        ).entity
        note = None
        if created is not None:
            stored = properties_of(created)
            _check_key_kept(record, stored)
            note = _lost(record, stored)
            record_id = record_id_of(created, record.identity_columns)
            if record_id is not None and not _has_ordinal(record, created, stored):
                return Accepted(record_id=record_id, note=note)
        try:
            existing = await self._just_inserted(record, before, recorder)
        except Failed as failed:
            raise Failed(_record_id_not_known(failed.outcome.code, failed.outcome.message)) from failed
        if existing is None and record.key_property:
            raise Failed(_record_id_not_known("outcome_unknown", "It cannot be found yet."))
        if existing is None:
            return Accepted(note="It was written, but which row it is cannot be determined.")
        is_confirmed = not differing(record.stored_values, existing.values, self._zone)
        return Accepted(record_id=existing.record_id, is_confirmed=is_confirmed, note=note)

    async def _just_inserted(
        self, record: Record, before: Sequence[ExistingRecord], recorder: Recorder
    ) -> ExistingRecord | None:
        if record.key_property:
            records = await self._with_key(record, recorder, of_contact=True)
            return records[0] if records else None
        known = {row.record_id for row in before}
        new = [row for row in await self._rows_of_contact(record, recorder) if row.record_id not in known]
        # Another client may have added a row at the same moment. Any of several equal rows will do.
        return new[0] if len(new) == 1 else next(iter(self._equal(record, new)), None)

    async def _with_key(self, record: Record, recorder: Recorder, *, of_contact: bool = False) -> list[ExistingRecord]:
        """The records with the record's key, of the contact alone or of all; the contact's own first."""
        filters = {str(record.key_property): f"eq:{record.key}"}
        if of_contact and record.is_numbered_late:
            filters = {record.party_columns[0]: f"eq:{record.party_id}", **filters}
        records = await self._search(record, filters, recorder)
        if any(_key_in(one, record) != record.key.casefold() for one in records):
            raise Failed(_filter_ignored(record))
        return sorted(records, key=lambda one: party_of(one, record) != record.party_id)

    async def _rows_of_contact(self, record: Record, recorder: Recorder) -> list[ExistingRecord]:
        records = await self._search(record, {record.party_columns[0]: f"eq:{record.party_id}"}, recorder)
        return [row for row in records if party_of(row, record) == record.party_id]

    async def _search(self, record: Record, filters: dict[str, str], recorder: Recorder) -> list[ExistingRecord]:
        records = []
        advice = f"{open_source(record.entity)} {_key_column_sentence(record)}".strip()
        async for page in self._api.pages(record.entity, filters, recorder, advice=advice):
            for row in page.rows:
                record_id = record_id_of(row, record.identity_columns)
                if record_id is not None:
                    records.append(ExistingRecord(record_id=record_id, entity=row))
        return records

    def _equal(self, record: Record, rows: Sequence[ExistingRecord]) -> list[ExistingRecord]:
        return [row for row in rows if not differing(record.stored_values, row.values, self._zone)]


def _key_in(existing: ExistingRecord, record: Record) -> str | None:
    if record.key_property is None:
        return None
    value = lookup(existing.values, record.key_property)
    return None if value is None else str(value).strip().casefold()


def _texts_among(columns: Sequence[str], stored: Json) -> list[str]:
    """Those of *columns* that hold a text, dates included; iMIS accepts an empty text in no other."""
    values = properties_of(stored)
    return [name for name in columns if isinstance(lookup(values, name), str)]


def _has_ordinal(record: Record, created: Json, stored: Mapping[str, Any]) -> bool:
    """Whether a contact can have many rows: then the response to the POST does not say which one was created."""
    is_one_of_many = len(identity_of(created)) > 1 or lookup(stored, "Ordinal") is not None
    return record.is_numbered_late and is_one_of_many


def _check_key_kept(record: Record, stored: Mapping[str, Any]) -> None:
    """
    Check that iMIS stored the key: a record without it could never be found again, and each attempt would add another.

    Raises:
        Failed: The record as iMIS stored it has no key, or only a part of it.
    """
    if record.key_property is None:
        return
    key = lookup(stored, record.key_property)
    if key is None or str(key).strip().casefold() != record.key.casefold():
        raise Failed(
            Refused(
                code="refused",
                failure_class="mapping",
                message=f"{record.entity} did not keep the record key in {record.key_property}. A record without "
                "it was written and should be removed by hand; then name a text column of 36 characters or more as "
                f"{record.key_setting}.",
            )
        )


def _lost(record: Record, stored: Mapping[str, Any]) -> str | None:
    """A sentence naming the columns that iMIS ignored silently, None where it ignored none."""
    kept = {name.casefold() for name in stored}
    lost = [name for name, value in record.values.items() if value is not None and name.casefold() not in kept]
    return f"iMIS did not keep {', '.join(lost)}." if lost else None


def _key_column_sentence(record: Record) -> str:
    if record.key_property is None:
        return ""
    return f"The hub searches for the record key in {record.key_property}, as {record.key_setting} says."


def _ambiguous(record: Record, equal: Sequence[ExistingRecord]) -> Refused:
    rows = ", ".join(row.record_id for row in equal)
    return Refused(
        code="outcome_unknown",
        message=f"Several rows of {record.entity} equal this record ({rows}), and which one belongs to it cannot be "
        "determined. Remove the surplus rows, then requeue this delivery; a KeyProperty in the Target prevents this.",
    )


def _row_not_known(record: Record) -> Refused:
    return Refused(
        code="outcome_unknown",
        message=f"A row of {record.entity} may have been written whose number is not known, and without a key it "
        f"cannot be distinguished from others. Look at the rows of contact {record.party_id}, remove it by hand, then "
        "discard this delivery; a KeyProperty in the Target prevents this.",
    )


def _filter_ignored(record: Record) -> Refused:
    return Refused(
        code="refused",
        failure_class="mapping",
        message=f"{record.entity} cannot be searched by {record.key_property}: iMIS gave records with other keys. "
        f"Check that this column, which {record.key_setting} names, is there.",
    )


def _not_found_after_write(record: Record, record_id: str) -> Unknown:
    return Unknown(
        code="outcome_unknown",
        message=f"iMIS accepted the record as {record.entity} {record_id}, but does not find it afterwards.",
        subscriber_is_away=False,
    )


def _record_id_not_known(code: str, message: str) -> Unknown:
    return Unknown(
        code=code,
        message=f"iMIS accepted the record, but its number is not known yet. {message}",
        subscriber_is_away=code in ("connection_failed", "timed_out"),
    )

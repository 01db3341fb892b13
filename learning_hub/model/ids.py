"""
The only module that reads random bytes for ids, and the form of all ids that the hub makes.

UUIDs are version 7 (RFC 9562): time-ordered, so that new rows are added at the end of their index.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from datetime import date, datetime
from uuid import UUID

import msgspec
from ulid import ULID

from learning_hub.model.errors import FieldError, InvalidFields

PROGRAM_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,24}$(?!\n)"
ID_RULE = "must be 1 to 25 of A-Z a-z 0-9 _ . -, starting with a letter or digit"
_PROGRAM = "([A-Za-z0-9][A-Za-z0-9_.-]{0,24})"
_UUID = "([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
EVENT_ID_PATTERN = f"^E:{_PROGRAM}-{_UUID}$"
DELIVERY_ID_PATTERN = f"^{_PROGRAM}-{_UUID}$"
ANY_ID_PATTERN = r"^[^\x00]+$"  # ids of other systems may have any character
TARGET_NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,99}$(?!\n)"
NEW_ID_PATTERN = "^[0-9A-HJKMNP-TV-Z]{26}$"
_EVENT_ID = re.compile(f"E:{_PROGRAM}-{_UUID}")
_DELIVERY_ID = re.compile(f"{_PROGRAM}-{_UUID}")
_BUCKET = re.compile(f"{_PROGRAM}-LB-([0-9]{{8}})")

# RFC 9562: the seventh byte begins with the version, the ninth with the variant.
_VERSION_7 = bytes(0x70 | byte & 0x0F for byte in range(256))
_VARIANT = bytes(0x80 | byte & 0x3F for byte in range(256))


def is_id(text: str) -> bool:
    """Whether *text* has the form of a ProgramId, which is also that of SubscriberIds and SubscriptionIds."""
    return re.fullmatch(PROGRAM_ID_PATTERN, text) is not None


def id_errors(field: str, text: str) -> list[FieldError]:
    """Errors of *text* as the id of a Program, subscriber or subscription in the field *field*."""
    return [] if is_id(text) else [FieldError(field, ID_RULE)]


def need_id(field: str, text: str) -> str:
    """
    *text*, if it has the form of an id.

    Raises:
        InvalidFields: The text, which is the value of the field *field*, does not have that form.
    """
    if errors := id_errors(field, text):
        raise InvalidFields(errors)
    return text


def is_target_name(text: str) -> bool:
    """Whether *text* has the form of a target's name, as iMIS defines it."""
    return re.fullmatch(TARGET_NAME_PATTERN, text) is not None


class EventKey(msgspec.Struct, frozen=True, gc=False):
    """The two parts of an EventId, as the tables store them."""

    program_id: str
    event_uuid: UUID

    def __str__(self) -> str:
        return event_id(self.program_id, self.event_uuid)


class DeliveryKey(msgspec.Struct, frozen=True):
    """The two parts of a DeliveryId."""

    program_id: str
    delivery_uuid: UUID

    def __str__(self) -> str:
        return delivery_id(self.program_id, self.delivery_uuid)


def new_uuid() -> UUID:
    """A new time-ordered UUID: 48 bits of milliseconds, then random bits."""
    return UUID(bytes=new_uuid_bytes(1)[0])


def new_uuid_bytes(count: int) -> list[bytes]:
    """*count* new UUIDs of sixteen bytes each, in no particular order; random bytes are read once for all of them."""
    milliseconds = (time.time_ns() // 1_000_000).to_bytes(6)
    chance = bytearray(os.urandom(10 * count))
    chance[0::10] = chance[0::10].translate(_VERSION_7)
    chance[2::10] = chance[2::10].translate(_VARIANT)
    return [milliseconds + chance[start : start + 10] for start in range(0, 10 * count, 10)]


def new_id() -> str:
    """A new time-ordered id of 26 characters, for runs and keys."""
    return str(ULID())


def new_request_id() -> str:
    """An id for one request, for the logs."""
    return secrets.token_hex(8)


def event_id(program_id: str, event_uuid: UUID) -> str:
    """`E:{ProgramId}-{UUID}`."""
    return f"E:{program_id}-{event_uuid}"


def delivery_id(program_id: str, delivery_uuid: UUID) -> str:
    """`{ProgramId}-{UUID}`."""
    return f"{program_id}-{delivery_uuid}"


def read_event_id(text: str) -> EventKey | None:
    """The parts of an EventId; None if *text* is not an EventId."""
    match = _EVENT_ID.fullmatch(text)
    return EventKey(match[1], UUID(match[2])) if match else None


def read_delivery_id(text: str) -> DeliveryKey | None:
    """The parts of a DeliveryId; None if *text* is not a DeliveryId."""
    match = _DELIVERY_ID.fullmatch(text)
    return DeliveryKey(match[1], UUID(match[2])) if match else None


def read_bucket(text: str) -> tuple[str, date] | None:
    """Program id and day of an EventDateBucket; None if *text* is not an EventDateBucket."""
    match = _BUCKET.fullmatch(text)
    try:
        return (match[1], datetime.strptime(match[2], "%Y%m%d").date()) if match else None  # noqa: DTZ007 - a day
    except ValueError:
        return None

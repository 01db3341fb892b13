"""
The JSON that iMIS sends and accepts: the generic entity, its properties and their values, a page of a list.

iMIS writes `$type` into every object and wraps most values that are no text; it reads wrapped and raw values, and so
does the hub. Objects are kept as they were received, so that parts the hub does not know are sent back unchanged.

Source: iMIS reference, sections 3 and 5.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from learning_hub.model.errors import InvalidInput
from learning_hub.model.json_values import SpelledDecimal, read_json, write_json

_CORE = "Asi.Soa.Core.DataContracts"
_ENTITY = f"{_CORE}.GenericEntityData, Asi.Contracts"
_IDENTITY = f"{_CORE}.IdentityData, Asi.Contracts"
_ELEMENTS = "System.Collections.ObjectModel.Collection`1[[System.String, mscorlib]], mscorlib"
_PROPERTIES = f"{_CORE}.GenericPropertyDataCollection, Asi.Contracts"
_PROPERTY = f"{_CORE}.GenericPropertyData, Asi.Contracts"
_EXECUTE = f"{_CORE}.GenericExecuteRequest, Asi.Contracts"
_PARAMETERS = "System.Collections.ObjectModel.Collection`1[[System.Object, mscorlib]], mscorlib"
# Members of the response to a named operation; iMIS leaves out those that are null.
_RESPONSE = {"result", "issuccessstatuscode", "statuscode", "validationresults", "iscachedresult"}

_INT32 = 2**31
_INT64 = 2**63
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,7})?)?)(Z|[+-]\d\d:?\d\d)?)?")
# What iMIS tools write for "no date"; section 3.5.
_NO_DATE = "0001-01-01T00:00:00"
# SQL Server's datetime counts in steps of a three-hundredth of a second.
_DATE_STEP = timedelta(milliseconds=4)

# As .NET encodes what has a meaning in HTML.
_ENCODED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}

Json = dict[str, Any]
Value = str | int | bool | Decimal | None


class Page(msgspec.Struct, frozen=True):
    """One page of a list; *next_offset* is 0 on the last. *is_old* says that it has members that only 20.2 wrote."""

    rows: list[Json]
    total: int
    next_offset: int
    is_old: bool


def new_entity(name: str, party_id: str, properties: Mapping[str, Value]) -> Json:
    """A new record of entity *name* for a contact; properties that are null are left out (section 8.5)."""
    return {
        "$type": _ENTITY,
        "EntityTypeName": name,
        "PrimaryParentEntityTypeName": "Party",
        "PrimaryParentIdentity": {
            "$type": _IDENTITY,
            "EntityTypeName": "Party",
            "IdentityElements": {"$type": _ELEMENTS, "$values": [party_id]},
        },
        "Properties": {
            "$type": _PROPERTIES,
            "$values": [
                {"$type": _PROPERTY, "Name": key, "Value": wrap(value)}
                for key, value in properties.items()
                if value is not None
            ],
        },
    }


def changed_entity(entity: Json, properties: Mapping[str, Value]) -> Json:
    """*entity* with *properties* set, null where they are null; everything else is as it was received."""
    sent = {key.casefold(): (key, value) for key, value in properties.items()}
    changed = []
    for one in _property_list(entity):
        name = str(member(one, "Name"))
        if name.casefold() in sent:
            _, value = sent.pop(name.casefold())
            changed.append({"$type": _PROPERTY, "Name": name, "Value": wrap(value)})
        else:
            changed.append(one)
    changed += [{"$type": _PROPERTY, "Name": key, "Value": wrap(value)} for key, value in sent.values()]
    kept = {key: value for key, value in entity.items() if key.casefold() != "properties"}
    return {**kept, "Properties": {"$type": _PROPERTIES, "$values": changed}}


def properties_of(entity: Json) -> dict[str, Any]:
    """The values by property name, as iMIS spells the names; unwrapped."""
    return {str(member(one, "Name")): unwrap(member(one, "Value")) for one in _property_list(entity)}


def identity_of(entity: Json) -> list[str]:
    """The elements of the record's identity as texts; empty where it has none."""
    identity = member(entity, "Identity")
    elements = member(identity, "IdentityElements") if isinstance(identity, dict) else None
    return [str(unwrap(element)) for element in values_of(elements) if element is not None]


def lookup(values: Mapping[str, Any], name: str) -> Any:
    """The value named *name* in any case, None where there is none."""
    if name in values:
        return values[name]
    folded = name.casefold()
    return next((value for key, value in values.items() if key.casefold() == folded), None)


member = lookup


def values_of(collection: Any) -> list[Any]:
    """The items of a collection, wrapped in an object or raw."""
    if isinstance(collection, dict):
        collection = member(collection, "$values")
    return collection if isinstance(collection, list) else []


def wrap(value: Value) -> Any:
    """A value as iMIS's own client writes it (section 3.4); an integer in the smallest type that holds it."""
    if isinstance(value, bool):
        return {"$type": "System.Boolean", "$value": value}
    if isinstance(value, int):
        return {"$type": _integer_type(value), "$value": value}
    if isinstance(value, Decimal):
        spelled = value if isinstance(value, SpelledDecimal) else SpelledDecimal(format(value, "f"))
        return {"$type": "System.Decimal", "$value": spelled}
    return value


def _integer_type(number: int) -> str:
    if -_INT32 <= number < _INT32:
        return "System.Int32"
    return "System.Int64" if -_INT64 <= number < _INT64 else "System.Decimal"


def unwrap(value: Any) -> Any:
    """A value without its wrapping, if it has one."""
    return member(value, "$value") if isinstance(value, dict) and "$value" in value else value


def read_object(body: bytes) -> Json | None:
    """*body* as a JSON object, None where it is something else."""
    try:
        value = read_json(body)
    except InvalidInput:
        return None
    return value if isinstance(value, dict) else None


def spellings(text: str) -> list[str]:
    """
    The forms in which iMIS may have stored *text*: HTML characters as they are, and encoded (section 3.6).

    One for a text without such characters.
    """
    plain = html.unescape(text)
    encoded = "".join(_ENCODED.get(character, character) for character in plain)
    return list(dict.fromkeys((text, plain, encoded)))


def write_object(value: Json) -> bytes:
    """*value* as a body, numbers as they were spelled."""
    return write_json(value)


def read_page(document: Json) -> Page | None:
    """*document* as a page of a list, None where it is none."""
    items = member(document, "Items")
    if not isinstance(items, dict | list):
        return None
    rows = [row for row in values_of(items) if isinstance(row, dict)]
    return Page(
        rows=rows,
        total=_number(document, "TotalCount"),
        next_offset=_number(document, "NextOffset"),
        is_old="SyncRoot" in items or "SyncRoot" in document or "IsSynchronized" in document,
    )


def execute_request(entity: str, operation: str, parameters: Iterable[str]) -> Json:
    """The request for a named operation of *entity* (section 4.1)."""
    values = [{"$type": "System.String", "$value": text} for text in parameters]
    return {
        "$type": _EXECUTE,
        "EntityTypeName": entity,
        "OperationName": operation,
        "Parameters": {"$type": _PARAMETERS, "$values": values},
        "UseJson": False,
    }


def execute_result(document: Json) -> Any:
    """The result of a named operation: the Result of the response, or the whole response where it has none."""
    is_response = any(name.casefold() in _RESPONSE for name in document)
    return member(document, "Result") if is_response else document


def are_same(sent: Any, stored: Any, zone: ZoneInfo) -> bool:
    """
    Whether the *stored* value equals the one that was sent.

    Numbers are compared as decimals, dates as times in the site's *zone*, text also with HTML characters encoded, since
    iMIS may return it so (section 3.6). Null, an empty text and "no date" are the same.
    """
    sent, stored = _plain(sent), _plain(stored)
    if sent == stored and isinstance(sent, bool) == isinstance(stored, bool):
        return True
    if sent is None or stored is None:
        return False
    if isinstance(sent, str) and isinstance(stored, str):
        return sent == html.unescape(stored) or _are_same_date(sent, stored, zone)
    if isinstance(sent, bool) or isinstance(stored, bool):
        return str(sent).casefold() == str(stored).casefold()
    try:
        return Decimal(str(sent)) == Decimal(str(stored))
    except InvalidOperation:
        return False


def is_date(text: str) -> bool:
    """Whether iMIS reads *text* as a date or time."""
    return _read_date(text, ZoneInfo("UTC")) is not None


def differing(sent: Mapping[str, Any], stored: Mapping[str, Any], zone: ZoneInfo) -> list[str]:
    """The names of the sent values that are stored differently, or not at all."""
    return [name for name, value in sent.items() if not are_same(value, lookup(stored, name), zone)]


def _property_list(entity: Json) -> Iterable[Json]:
    return [one for one in values_of(member(entity, "Properties")) if isinstance(one, dict)]


def _plain(value: Any) -> Any:
    value = unwrap(value)
    return None if value in ("", _NO_DATE) else value


def _are_same_date(sent: str, stored: str, zone: ZoneInfo) -> bool:
    one, other = _read_date(sent, zone), _read_date(stored, zone)
    return one is not None and other is not None and abs(one - other) <= _DATE_STEP


def _read_date(text: str, zone: ZoneInfo) -> datetime | None:
    """A date or time as local time of the site; an offset is converted."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(f"{match[1]}T{(match[2] or '00:00')[:15]}{match[3] or ''}")
        return moment.astimezone(zone).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None


def local_time(text: str, zone: ZoneInfo) -> str:
    """A time with an offset as local time of the site, without the offset; any other text unchanged."""
    match = _DATE.fullmatch(text)
    moment = _read_date(text, zone) if match and match[3] else None
    if moment is None:
        return text
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


def _number(document: Json, name: str) -> int:
    value = unwrap(member(document, name))
    return value if isinstance(value, int) else 0

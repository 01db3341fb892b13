"""The wire format of iMIS: type names, collections, wrapped primitives, identities (sections 3.2 to 3.5)."""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from learning_hub.sandbox.errors import BadRequest, UnreadableBody
from learning_hub.sandbox.switches import Switches

Json = Any

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

STRINGS = "System.Collections.ObjectModel.Collection`1[[System.String, mscorlib]], mscorlib"
EXPANDO = "System.Dynamic.ExpandoObject, System.Core"
HTTP_ERROR = "System.Web.Http.HttpError, System.Web.Http"

# iMIS (Newtonsoft.Json) reads decimals exactly; a binary float would change 1.10.
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def core(name: str) -> str:
    """The type string of a class of the core contracts, for instance `GenericEntityData`."""
    return f"Asi.Soa.Core.DataContracts.{name}, Asi.Contracts"


def membership(name: str) -> str:
    """The type string of a class of the membership contracts, for instance `PartySummaryData`."""
    return f"Asi.Soa.Membership.DataContracts.{name}, Asi.Contracts"


def list_of(item_type: str) -> str:
    """The type string of a list of *item_type*."""
    return f"System.Collections.Generic.List`1[[{item_type}]], mscorlib"


def decode(body: bytes) -> Json:
    """
    The JSON value in *body*, fractions as Decimal.

    Raises:
        UnreadableBody: It is not JSON, or nested too deeply.
    """
    try:
        return _decoder.decode(body.removeprefix(BYTE_ORDER_MARK))
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise UnreadableBody("The request body is not valid JSON.") from error


def encode(value: Json) -> bytes:
    """*value* as UTF-8 JSON, decimals as numbers."""
    return _encoder.encode(value)


def collection(type_name: str, values: Iterable[Json]) -> Json:
    """A collection in the wire format: an object with `$values`."""
    return {"$type": type_name, "$values": list(values)}


def member(sent: Json, name: str) -> Json:
    """A member of a JSON object, whose name may have any letter case; None when *sent* lacks it or is no object."""
    if not isinstance(sent, dict):
        return None
    if name in sent:
        return sent[name]
    folded = name.casefold()
    return next((value for key, value in sent.items() if key.casefold() == folded), None)


def values_of(sent: Json) -> list[Json]:
    """The items of a collection that a client sent: an object with `$values`, a bare list, or null."""
    values = member(sent, "$values") if isinstance(sent, dict) else sent
    if values is None:
        return []
    if not isinstance(values, list):
        raise BadRequest("A collection was expected: an object with $values.")
    return values


def unwrap(sent: Json) -> Json:
    """A primitive that a client sent, without the wrapper `{"$type": …, "$value": …}` if it has one."""
    if isinstance(sent, dict) and any(key.casefold() == "$value" for key in sent):
        return member(sent, "$value")
    return sent


def number(value: Decimal, switches: Switches) -> msgspec.Raw:
    """A decimal as a JSON number in plain notation, with the digits as stored."""
    digits = format(value, "f")
    if switches.forced_fraction and "." not in digits:
        digits += ".0"
    return msgspec.Raw(digits.encode())


def date_text(value: datetime) -> str:
    """`yyyy-MM-ddTHH:mm:ss` without a zone, with only the fraction digits that it needs."""
    text = value.isoformat()
    return text.rstrip("0") if value.microsecond else text


def native(value: Any, switches: Switches) -> Json:
    """A stored value as plain JSON, with decimals as the switch ForcedFraction says, as in rows of /api/query."""
    return number(value, switches) if isinstance(value, Decimal) else as_plain(value)


def wrap(value: Any, switches: Switches) -> Json:
    """A stored value as the `Value` of a property: text bare, numbers wrapped with their type (3.4)."""
    types = {bool: "Boolean", int: "Int32", Decimal: "Decimal", UUID: "Guid", bytes: "Byte[], mscorlib"}
    plain = native(value, switches)
    if isinstance(value, datetime):
        wrapped, name = switches.wrap_dates, "DateTime"
    else:
        wrapped, name = switches.wrap_primitives and type(value) in types, types.get(type(value), "")
    return {"$type": f"System.{name}", "$value": plain} if wrapped else plain


def property_list(pairs: Iterable[tuple[str, Any]], switches: Switches) -> Json:
    """The `Properties` of a generic entity; a null property has no `Value`."""
    items: list[Json] = []
    for name, value in pairs:
        item: dict[str, Json] = {"$type": core("GenericPropertyData"), "Name": name}
        if value is not None:
            item["Value"] = wrap(value, switches)
        items.append(item)
    return collection(core("GenericPropertyDataCollection"), items)


def identity(entity: str, elements: Sequence[str]) -> Json:
    """The identity of a record: its entity, and its key as text."""
    return {
        "$type": core("IdentityData"),
        "EntityTypeName": entity,
        "IdentityElements": collection(STRINGS, elements),
    }


def identity_elements(sent: Json) -> list[str]:
    """The key in an identity that a client sent; empty when it has none."""
    return [str(unwrap(element)) for element in values_of(member(sent, "IdentityElements"))]


def split_identity(text: str, *, with_commas: bool) -> tuple[str, ...]:
    """
    The elements of an identity in an address: `~10042|3`, or one bare element.

    Args:
        text: As in the address, decoded.
        with_commas: `10042,3` is two elements, as in 20.2.46.
    """
    if text.startswith("~"):
        return tuple(text[1:].split("|"))
    if with_commas and "," in text:
        return tuple(text.split(","))
    return (text,)


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.]\d{1,7})?)?)?(Z|[+-]\d{2}:?\d{2})?", re.ASCII)


def read_date(text: str) -> datetime:
    """
    A date that a client sent, with its offset if it has one; `T` or a space separates date and time.

    Raises:
        ValueError: It is not a date.
    """
    if not _DATE.fullmatch(text.strip()):
        raise ValueError(text)
    return datetime.fromisoformat(text.strip())


def as_plain(value: Any) -> Json:
    """A stored value as plain JSON: dates as text, decimals as numbers with the digits as stored."""
    if isinstance(value, datetime):
        return date_text(value)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return str(value) if isinstance(value, UUID) else value


def utf16_length(text: str) -> int:
    """The length of a text as iMIS counts it: in UTF-16 code units, of which an emoji has two or more."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut_to_units(text: str, units: int) -> str:
    """The first *units* UTF-16 code units of *text*, without half a pair at the end."""
    return text.encode("utf-16-le", "surrogatepass")[: 2 * units].decode("utf-16-le", "ignore")

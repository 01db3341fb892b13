"""
What a kind of subscriber takes, declared as Structs: finding every bad field of what an administrator sent.

The Settings and Credentials of a subscriber and the Target of a subscription are objects whose fields each connector
declares for itself. A field that is null is as one left out, where it may be left out.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin
from urllib.parse import urlsplit

import msgspec

from learning_hub.connectors.addresses import Guard
from learning_hub.model.cron import time_zone_fault
from learning_hub.model.errors import FieldError
from learning_hub.model.json_errors import place_in

Json = Mapping[str, Any]
T = TypeVar("T", bound=msgspec.Struct)

_REQUIRED = "is required"
_UNKNOWN = "is not a known field"
_WORDS = {
    r"Expected `str` of length >= 1": "must not be empty",
    r"Expected `str` of length <= (\d+)": r"must have at most \1 characters",
    r"Expected `str` matching regex .*": "has a form that is not allowed",
    r"Expected `object` of length <= (\d+)": r"must have at most \1 fields",
    r"Expected `int` >= (\d+)": r"must be at least \1",
    r"Expected `int` <= (\d+)": r"must be at most \1",
    r"Expected `int \| str`.*": "must be a string or a whole number",
    r"Expected `str.*": "must be a string",
    r"Expected `int.*": "must be a whole number",
    r"Expected `object.*": "must be an object",
}


def read_fields(given: Json, struct: type[T]) -> T:
    """*given*, which `check_fields` found right, as a *struct*."""
    return msgspec.convert({name: value for name, value in given.items() if value is not None}, struct)


def check_fields(
    raw: Json, struct: type[msgspec.Struct], whole: str, words: Mapping[str, str] | None = None
) -> list[FieldError]:
    """
    The fields of *raw* that a *struct* cannot hold; no message repeats a value.

    Args:
        raw: What was sent.
        struct: What it is to be.
        whole: The name of the whole (`Settings`), with which the names of the fields begin.
        words: What a field must be, where the words of its type say too little; by its name, or by its path where it
            is within another one (`ParticipantLookup.Query`).
    """
    known = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    errors = [FieldError(place_in(whole, name), _UNKNOWN) for name in raw if name not in known]
    for name, field in known.items():
        if name not in raw and field.required:
            errors.append(FieldError(f"{whole}.{name}", _REQUIRED))
        if raw.get(name) is None and (name not in raw or not field.required):
            continue
        inner = _struct_in(field.type)
        if inner is not None and isinstance(raw[name], dict):
            begins = f"{name}."
            of_inner = {key.removeprefix(begins): said for key, said in (words or {}).items() if key.startswith(begins)}
            errors += check_fields(raw[name], inner, f"{whole}.{name}", of_inner)
            continue
        try:
            msgspec.convert(raw[name], field.type)
        except msgspec.ValidationError as error:
            place, message = _worded(str(error), f"{whole}.{name}")
            in_words = (words or {}).get(place.removeprefix(f"{whole}."), message)
            errors.append(FieldError(place, message if message in (_REQUIRED, _UNKNOWN) else in_words))
    return errors


def _struct_in(declared: Any) -> type[msgspec.Struct] | None:
    """The Struct that an object is read as where *declared*, or one of its alternatives, is one."""
    alternatives = get_args(declared) if get_origin(declared) in (Union, types.UnionType) else (declared,)
    structs = [one for one in alternatives if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    return structs[0] if len(structs) == 1 else None


def check_time_zone(settings: Json, errors: list[FieldError]) -> None:
    """Add what is wrong with `Settings.TimeZone`, unless something is already."""
    name = settings.get("TimeZone")
    if name is None or any(error.field == "Settings.TimeZone" for error in errors):
        return
    if fault := time_zone_fault(name):
        errors.append(FieldError("Settings.TimeZone", fault))


def address_fault(address: str, guard: Guard | None, example: str) -> str | None:
    """Why *address* can be none of a subscriber, such as *example*; with a *guard* the target is judged as well."""
    if guard is not None and (objection := guard.judge_url(address)):
        return objection
    try:
        parts = urlsplit(address)
        is_well_formed = parts.scheme in ("https", "http") and bool(parts.hostname)
    except ValueError:
        is_well_formed = False
    return None if is_well_formed else f"must be an address such as {example}"


def _worded(said: str, place: str) -> tuple[str, str]:
    """The place, as deep as msgspec tells it, and what is wrong there in words."""
    text, _, path = said.partition(" - at `$")
    if missing := re.fullmatch(r"Object (missing required|contains unknown) field `(.+)`", text):
        is_missing = missing[1] == "missing required"
        return f"{place}.{missing[2]}", _REQUIRED if is_missing else _UNKNOWN
    for pattern, replacement in _WORDS.items():
        if match := re.fullmatch(pattern, text):
            return place + path.removesuffix("`"), match.expand(replacement)
    return place, text

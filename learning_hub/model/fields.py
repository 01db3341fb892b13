"""
Reads a JSON object into a Struct, and reports all bad fields instead of the first.

The Struct is the only declaration of an object: its types and `Meta` limits are checked here and shown in the OpenAPI
document.

    read_struct, collect         from the fields of a body, as they were sent
    check_values, from_values    from values that were decoded before, such as the Settings of a subscriber
"""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, cast, get_args, get_origin

import msgspec
from msgspec import Raw

from learning_hub.model.clock import read_time
from learning_hub.model.errors import MORE, FieldError, InvalidFields, InvalidInput, TooLarge
from learning_hub.model.json_errors import MAX_ERRORS
from learning_hub.model.json_pieces import split_array, split_object
from learning_hub.model.json_values import check_json, read_json, write_json

T = TypeVar("T", bound=msgspec.Struct)
B = TypeVar("B")

MOST_TEXTS = 1000
NOT_BLANK = r"\S"  # the pattern of a text that must not be blank

_KINDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "an array",
    "null": "null",
}
_REQUIRED = "is required"
_NOT_KNOWN = "is not a known field"
_WORDS: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"Expected `str` of length >= 1"), "must not be empty"),
    (re.compile(r"Expected `str` of length >= (\d+)"), r"must have at least \1 characters"),
    (re.compile(r"Expected `str` of length <= (\d+)"), r"must have at most \1 characters"),
    (re.compile(r"Expected `array` of length >= 1"), "must not be empty"),
    (re.compile(r"Expected `array` of length <= (\d+)"), r"must have at most \1 items"),
    (re.compile(r"Expected `object` of length <= (\d+)"), r"must have at most \1 fields"),
    (re.compile(r"Expected `int` >= (\S+)"), r"must be at least \1"),
    (re.compile(r"Expected `int` <= (\S+)"), r"must be at most \1"),
    (re.compile(r"Expected `str` matching regex '\\\\S'"), "must not be blank"),
    (re.compile(r"Expected `str` matching regex .*"), "has a form that is not allowed"),
]
_GOT = re.compile(r"Expected `([^`]+)`, got `(\w+)`")


class Declared(NamedTuple):
    """A field of a Struct: its *decoder*, and its *kind*, which is its type without limits and null."""

    attribute: str
    decoder: msgspec.json.Decoder[Any]
    kind: Any
    is_required: bool
    takes_null: bool


def read_object(body: bytes) -> dict[str, Raw]:
    """
    The fields of a body that must be one JSON object, each as sent; the last value of a repeated key counts.

    Raises:
        InvalidInput: The body is not well-formed, not UTF-8, or not an object.
    """
    if not body:
        raise body_needed()
    return _read_body(body, partial(msgspec.json.decode, type=dict[str, Raw]), split_object, "a JSON object")


def body_needed() -> InvalidInput:
    """The error if a body is empty."""
    return InvalidInput("A JSON object is needed as the body.", code="malformed_json")


def read_list(body: bytes, most: int) -> list[Raw]:
    """
    The items of a body that must be one JSON array, each as sent.

    Raises:
        TooLarge: It has more than *most* items, whatever follows them.
        InvalidInput: It is not well-formed, not UTF-8, or not an array.
    """
    found = _read_body(body, partial(_first_items, most=most), partial(split_array, most=most + 1), "a JSON array")
    if len(found) > most:
        raise TooLarge(f"The body has more than {most} items.")
    return found


def _first_items(body: bytes, most: int) -> list[Raw]:
    """The items of an array, or one more than *most* of them."""
    try:
        array = msgspec.json.decode(body, type=_array_of(most))
    except msgspec.ValidationError as error:
        if "at most length" not in str(error):
            raise
        return [Raw()] * (most + 1)
    return [item for item in msgspec.structs.astuple(array) if item is not None]


@functools.cache
def _array_of(most: int) -> type[msgspec.Struct]:
    """
    An array of up to *most* items.

    A list would be read to its end before it is counted, which for millions of items takes seconds.
    """
    items = [(f"item_{index}", Raw, None) for index in range(most)]
    return msgspec.defstruct("Array", items, array_like=True, forbid_unknown_fields=True)


def _read_body(body: bytes, decode: Callable[[bytes], B], pieces: Callable[[bytes], B], expected: str) -> B:
    try:
        body.decode("utf-8")
        return decode(body)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The body is not UTF-8 (byte {error.start}).", code="malformed_json") from None
    except msgspec.ValidationError:
        raise InvalidInput(f"The body must be {expected}.", code="malformed_json") from None
    except (RecursionError, msgspec.DecodeError) as error:
        # The body may be well-formed, with a value that cannot be stored; a later check then names its field.
        try:
            return pieces(body)
        except (ValueError, RecursionError):
            raise InvalidInput(f"The body is not well-formed JSON: {error}.", code="malformed_json") from None


def read_struct(fields: Mapping[str, Raw], struct: type[T], *, prefix: str = "") -> T:
    """
    *fields* as a *struct*: times in UTC and cut to microseconds, `Raw` fields as they were sent.

    Raises:
        InvalidFields: Every field that is missing, unknown or of the wrong form, each named with *prefix*.
    """
    values, errors = collect(fields, struct, prefix=prefix)
    if errors:
        raise InvalidFields(errors)
    return struct(**values)


def collect(
    fields: Mapping[str, Raw], struct: type[msgspec.Struct], *, prefix: str = ""
) -> tuple[dict[str, Any], list[FieldError]]:
    """The values of the valid fields, by attribute name, and the errors of the others."""
    values: dict[str, Any] = {}
    errors: list[FieldError] = []
    known = declared_fields(struct)
    for name, field in known.items():
        place = prefix + name
        raw = fields.get(name)
        if raw is None or (bytes(raw).strip() == b"null" and not field.takes_null):
            if field.is_required:
                errors.append(FieldError(place, _REQUIRED))
            continue
        try:
            values[field.attribute] = _read_field(raw, field, place)
        except InvalidFields as error:
            errors += error.errors
    return values, errors + _unknown([name for name in fields if name not in known], prefix)


def check_values(
    values: Mapping[str, Any], struct: type[msgspec.Struct], whole: str, messages: Mapping[str, str] | None = None
) -> list[FieldError]:
    """
    The errors that prevent *values* from becoming a *struct*; no message repeats a value.

    Args:
        values: The fields of an object, decoded. Null counts as left out if the field may be left out.
        struct: The Struct that they must form.
        whole: The name of the object (`Settings`), with which the names of the fields begin.
        messages: The requirement for a field whose type says too little, by its path (`ParticipantLookup.Query`).
    """
    _, errors = collect({name: Raw(write_json(value)) for name, value in values.items()}, struct, prefix=f"{whole}.")
    return [_with_message(error, (messages or {}).get(error.field.removeprefix(f"{whole}."))) for error in errors]


def _with_message(error: FieldError, message: str | None) -> FieldError:
    is_about_the_name = error.message in (_REQUIRED, _NOT_KNOWN)
    return error if message is None or is_about_the_name else FieldError(error.field, message)


def from_values(values: Mapping[str, Any], struct: type[T]) -> T:
    """*values*, for which `check_values` found no errors, as a *struct*."""
    return msgspec.convert({name: value for name, value in values.items() if value is not None}, struct)


def _unknown(names: list[str], prefix: str) -> list[FieldError]:
    """Errors for up to a hundred unknown names; of more, the last one stands for the rest."""
    listed = names if len(names) <= MAX_ERRORS else names[: MAX_ERRORS - 1]
    errors = [FieldError(prefix + shown_name(name), _NOT_KNOWN) for name in listed]
    if more := len(names) - len(listed):
        errors.append(FieldError(f"{prefix}{MORE}", f"{more} more are not known fields"))
    return errors


def valid_members(raw: bytes) -> dict[str, Any]:
    """The members of a JSON object that can be stored, so that they are checked even if others cannot be stored."""
    try:
        members = msgspec.json.decode(raw, type=dict[str, Raw])
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return {name: read_json(bytes(member)) for name, member in members.items() if not check_json(bytes(member), name)}


def valid_texts(raw: bytes) -> dict[int, str]:
    """The texts among the first thousand items of a JSON array that can be stored, by index."""
    try:
        items = msgspec.json.decode(raw, type=list[Raw])
    except (msgspec.MsgspecError, RecursionError):
        return {}
    first = dict(enumerate(items[:MOST_TEXTS]))
    values = {at: read_json(bytes(item)) for at, item in first.items() if not check_json(bytes(item), str(at))}
    return {at: value for at, value in values.items() if isinstance(value, str)}


@functools.cache
def declared_fields(struct: type[msgspec.Struct]) -> dict[str, Declared]:
    """The fields of a Struct by their names in JSON; cached, because finding them takes as long as reading a body."""
    return {
        field.encode_name: Declared(
            attribute=field.name,
            decoder=msgspec.json.Decoder(field.type),
            kind=bare(field.type),
            is_required=field.required,
            takes_null=_takes_null(field.type),
        )
        for field in msgspec.structs.fields(struct)
    }


def _read_field(raw: Raw, declared: Declared, place: str) -> Any:
    content, kind = bytes(raw), declared.kind
    if problems := check_json(content, place):
        raise InvalidFields([*problems, *_beside(problems, content, kind, place)])
    if kind is Raw:
        return content
    if kind is Any:
        return read_json(content)
    if nested := _struct_for(content, kind):
        return None if content.strip() == b"null" else _read_nested(content, nested, place)
    try:
        if kind is datetime:
            return _read_time(content, declared, place)
        return declared.decoder.decode(content)
    except msgspec.ValidationError as error:
        raise InvalidFields(_bad_items(content, kind, place) or [_worded(error, kind, place)]) from None


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__struct_config__.tag is None


def _struct_for(content: bytes, kind: Any) -> type[msgspec.Struct] | None:
    """The Struct that *content* must be; for a union, its only Struct if *content* is an object."""
    if _is_struct(kind):
        return cast("type[msgspec.Struct]", kind)
    if get_origin(kind) not in (Union, types.UnionType) or content.lstrip()[:1] != b"{":
        return None
    structs = [one for one in get_args(kind) if _is_struct(one)]
    return structs[0] if len(structs) == 1 else None


def _beside(problems: list[FieldError], content: bytes, kind: Any, place: str) -> list[FieldError]:
    """The other errors in an object or a list, besides *problems*, which concern parts that cannot be stored."""
    if not _is_struct(kind):
        return not_reported(_bad_items(content, kind, place), problems)
    try:
        _read_nested(content, kind, place)
    except InvalidFields as error:
        return not_reported(error.errors, problems)
    except (msgspec.MsgspecError, RecursionError):
        pass
    return []


def not_reported(errors: list[FieldError], reported: list[FieldError]) -> list[FieldError]:
    """The *errors* about fields that *reported* does not name yet, neither as a whole nor in a part."""
    named = {error.field for error in reported}
    return [one for one in errors if not any(is_within(field, one.field) for field in named)]


def is_within(field: str, whole: str) -> bool:
    """Whether *field* is *whole*, or a part of it."""
    return field == whole or field.startswith((f"{whole}.", f"{whole}["))


def _bad_items(content: bytes, kind: Any, place: str) -> list[FieldError]:
    """All bad items of a list, by index, because the decoder stops at the first; empty if no item is bad."""
    if get_origin(kind) is not list:
        return []
    try:
        items = msgspec.json.decode(content, type=list[Raw])
    except (msgspec.MsgspecError, RecursionError):
        return []
    (item_type,) = get_args(kind)
    decoder, errors = msgspec.json.Decoder(item_type), list[FieldError]()
    for index, item in enumerate(items):
        try:
            decoder.decode(item)
        except msgspec.ValidationError as error:
            errors.append(_worded(error, bare(item_type), f"{place}[{index}]"))
        except msgspec.MsgspecError:
            # The item is not JSON that can be stored, which is already reported.
            continue
        if len(errors) == MAX_ERRORS:
            break
    return errors


def _read_time(content: bytes, declared: Declared, place: str) -> datetime | None:
    try:
        text = msgspec.json.decode(content, type=str | None)
    except msgspec.ValidationError:
        raise InvalidFields([FieldError(place, _time_needed(content, declared))]) from None
    try:
        return None if text is None else read_time(text)
    except ValueError as error:
        raise InvalidFields([FieldError(place, str(error))]) from None


def _time_needed(content: bytes, declared: Declared) -> str:
    or_null = " or null" if declared.takes_null else ""
    needed = f"must be a string with an RFC 3339 time such as 2031-03-14T15:20:00Z{or_null}"
    return f"{needed}, not a number" if content.lstrip()[:1] in b"-0123456789" else needed


def _read_nested(content: bytes, kind: type[msgspec.Struct], place: str) -> msgspec.Struct:
    try:
        fields = msgspec.json.decode(content, type=dict[str, Raw])
    except msgspec.ValidationError:
        raise InvalidFields([FieldError(place, "must be an object")]) from None
    return read_struct(fields, kind, prefix=f"{place}.")


def bare(declared: Any) -> Any:
    """The type inside `Annotated[...]` and `... | None`."""
    if get_origin(declared) is Annotated:
        return bare(get_args(declared)[0])
    if get_origin(declared) in (Union, types.UnionType):
        rest = [part for part in get_args(declared) if part is not type(None)]
        return bare(rest[0]) if len(rest) == 1 else declared
    return declared


def _takes_null(declared: Any) -> bool:
    if get_origin(declared) is Annotated:
        return _takes_null(get_args(declared)[0])
    if get_origin(declared) in (Union, types.UnionType):
        return type(None) in get_args(declared)
    return declared is Any


def _worded(error: msgspec.ValidationError, kind: Any, place: str) -> FieldError:
    text, _, path = str(error).partition(" - at `$")
    choices = _choices_in(kind)
    place += path.removesuffix("`").replace("[...]", "[]")
    if get_origin(kind) is Literal or (choices and text.startswith("Invalid enum value")):
        return FieldError(place, f"must be one of {', '.join(map(str, choices))}")
    if text.startswith("Invalid enum value"):
        return FieldError(place, f"{text.removeprefix('Invalid enum value ')} is none of the known values")
    for pattern, words in _WORDS:
        if match := pattern.fullmatch(text):
            return FieldError(place, match.expand(words))
    if match := _GOT.fullmatch(text):
        expected = " or ".join(_KINDS.get(part.strip(), part.strip()) for part in match[1].split("|"))
        return FieldError(place, f"must be {expected}, not {_KINDS.get(match[2], match[2])}")
    return FieldError(place, text)


def _choices_in(kind: Any) -> tuple[Any, ...]:
    """The values of a Literal, or of the Literal among the alternatives of a union; empty without a Literal."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    if get_origin(kind) not in (Union, types.UnionType):
        return ()
    return next((get_args(one) for one in get_args(kind) if get_origin(one) is Literal), ())


def shown_name(name: str) -> str:
    """The name of a field for an error: cut to a hundred characters, with escapes for what cannot be printed."""
    shown = name if len(name) <= 100 else name[:100] + "…"
    return shown if shown.isprintable() else shown.encode("unicode_escape").decode()

"""
The reasons in the JSON of an error, as servers of .NET write it: those of iMIS and of LearningBuilder are such servers.

    {"Message": "The request is invalid.", "ModelState": {"entity.Email": ["The Email field is required."]}}
    {"title": "One or more validation errors occurred.", "status": 400, "errors": {"Email": ["Not an address."]}}

Sources: `HttpError` of ASP.NET Web API (iMIS reference, section 6.3), and `ValidationProblemDetails` of ASP.NET Core
(RFC 9457). Collections may be wrapped in an object with `$values`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# What Web API says of an exception that it does not explain.
_SAYS_NOTHING = "an error has occurred"
# Exceptions are in one another, and the innermost one often has the cause.
_MOST_EXCEPTIONS = 5
# Members of an object that holds sentences of one field, and not further fields.
_HOLD_SENTENCES = ("$values", "errors", "errormessage", "message", "exception")


def reasons_in(error: Mapping[str, Any]) -> list[str]:
    """
    The sentences of *error* in the order for a reader, each once; empty if it is no such error.

    First `Message`, or `detail` or `title` in its place, then what `ModelState` and `errors` say of each field, which
    is named unless the sentence names it. The messages of exceptions, and other details for developers, are left out
    where these give a reason.
    """
    return list(dict.fromkeys(filter(None, map(str.strip, _reasons(error, _MOST_EXCEPTIONS)))))


def _reasons(error: Mapping[str, Any], most_exceptions: int) -> Iterator[str]:
    members = _members(error)
    said = list(_said_of(next((members[name] for name in ("message", "detail", "title") if members.get(name)), None)))
    for name in ("modelstate", "errors"):
        said += _of_fields(members.get(name))
    yield from said
    if all(one.strip().casefold().startswith(_SAYS_NOTHING) for one in said):
        for name in ("exceptionmessage", "messagedetail"):
            if isinstance(members.get(name), str):
                yield members[name]
        for name in ("innerexception", "error"):
            inner = members.get(name)
            if isinstance(inner, dict) and most_exceptions:
                yield from _reasons(inner, most_exceptions - 1)


def _of_fields(fields: Any) -> Iterator[str]:
    """`entity.Units: is odd`, and for each of a field's sentences one; an object has the fields by name."""
    if isinstance(fields, dict) and "$values" not in fields:
        for field, said in fields.items():
            if field[:1] != "$":
                yield from _said_of(said, field)
    else:
        yield from _said_of(fields)


def _said_of(said: Any, field: str = "") -> Iterator[str]:
    """
    The sentences in *said*, each with the name of its field.

    *said* is a text, a list, an entry such as `{"Errors": [{"ErrorMessage": …}]}`, a pair `{"Key": …, "Value": …}`, or
    an object with fields that belong to *field*.
    """
    if isinstance(said, str):
        yield _named(field, said)
    elif isinstance(said, list):
        for one in said:
            yield from _said_of(one, field)
    elif isinstance(said, dict):
        members = _members(said)
        if "key" in members and "value" in members:
            yield from _said_of(members["value"], _within(field, str(members["key"])))
        elif sentences := [members[name] for name in _HOLD_SENTENCES if name in members]:
            for one in sentences:
                yield from _said_of(one, field)
        else:
            for name, one in said.items():
                if name[:1] != "$":
                    yield from _said_of(one, _within(field, name))


def _named(field: str, sentence: str) -> str:
    # `entity.Properties[0].Value`: the last part is the name that a sentence would use.
    is_named = not field or field.rpartition(".")[2].casefold() in sentence.casefold()
    return sentence if is_named else f"{field}: {sentence or 'is not valid'}"


def _within(field: str, name: str) -> str:
    return f"{field}.{name}" if field and name else field or name


def _members(error: Mapping[str, Any]) -> dict[str, Any]:
    return {name.casefold(): value for name, value in error.items()}

"""
The reasons in the JSON of an error, as servers of .NET write it: those of iMIS and of LearningBuilder are such servers.

    {"Message": "The request is invalid.", "ModelState": {"entity.Email": ["The Email field is required."]}}

Source: `HttpError` of ASP.NET Web API (iMIS reference, section 6.3). Collections may be wrapped in an object with
`$values`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# What Web API says of an exception that it does not explain.
_SAYS_NOTHING = "an error has occurred"
# Exceptions are in one another, and the innermost one often has the cause.
_MOST_EXCEPTIONS = 5


def reasons_in(error: Mapping[str, Any]) -> list[str]:
    """
    The sentences of *error* in the order for a reader, each once; empty if it is no such error.

    First `Message`, then what `ModelState` says of each field, which is named unless the sentence names it. The
    messages of exceptions, and other details for developers, are left out where `Message` gives a reason.
    """
    return list(dict.fromkeys(filter(None, map(str.strip, _reasons(error, _MOST_EXCEPTIONS)))))


def _reasons(error: Mapping[str, Any], most_exceptions: int) -> Iterator[str]:
    members = {name.casefold(): value for name, value in error.items()}
    message, fields = members.get("message"), members.get("modelstate")
    said = [message] if isinstance(message, str) else []
    said += _of_fields(fields) if isinstance(fields, dict) else []
    yield from said
    if all(one.strip().casefold().startswith(_SAYS_NOTHING) for one in said):
        for name in ("exceptionmessage", "messagedetail"):
            if isinstance(members.get(name), str):
                yield members[name]
        inner = members.get("innerexception")
        if isinstance(inner, dict) and most_exceptions:
            yield from _reasons(inner, most_exceptions - 1)


def _of_fields(fields: Mapping[str, Any]) -> Iterator[str]:
    """`entity.Units: is odd`, and for each of a field's sentences one."""
    for field, said in fields.items():
        if field[:1] == "$":
            continue
        for sentence in _sentences(said):
            # `entity.Properties[0].Value`: the last part is the name that a sentence would use.
            is_named = not field or field.rpartition(".")[2].casefold() in sentence.casefold()
            yield sentence if is_named else f"{field}: {sentence or 'is not valid'}"


def _sentences(said: Any) -> Iterator[str]:
    """A text, a list of them, or an entry of the form `{"Errors": [{"ErrorMessage": …}]}`."""
    if isinstance(said, str):
        yield said
    elif isinstance(said, list):
        for one in said:
            yield from _sentences(one)
    elif isinstance(said, dict):
        for name, value in said.items():
            if name.casefold() in ("$values", "errors", "errormessage", "message", "exception"):
                yield from _sentences(value)

"""Errors in a template as one-line messages for the author of the template."""

from __future__ import annotations

import re

from liquid.exceptions import LiquidError, LiquidInterrupt

_MAX_CHARACTERS = 300
_RESERVED_WORD = re.compile(r"expected an identifier, found ([a-z]+)")
# python-liquid names values by their Python types.
_PYTHON_TYPES = re.compile(r"(?<=found )\w+$|(?<=between )'\w+' and '\w+'$")
_TYPE_NAMES = {
    "NoneType": "null", "SpelledDecimal": "a number", "bool": "true or false", "dict": "an object", "int": "a number",
    "list": "a list", "range": "a range", "str": "text",
}  # fmt: skip


def describe_error(error: Exception) -> str:
    """The message for an exception that compiling or rendering raised, without a full stop."""
    if isinstance(error, LiquidInterrupt):
        return f"{error} is used outside of a loop"
    if isinstance(error, LiquidError):
        return _describe_liquid_error(error)
    if isinstance(error, MemoryError):
        return "needs more memory than a template may use"
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    return "cannot be evaluated: a filter or a comparison got a value that it cannot work with"


def _describe_liquid_error(error: LiquidError) -> str:
    message = str(error.message).replace("\n", " ")
    if message == "unexpected liquid parsing error" and isinstance(error.__cause__, Exception):
        return describe_error(error.__cause__)
    reserved = _RESERVED_WORD.fullmatch(message)
    if reserved:
        return f"{reserved[1]} is a reserved word; a key of this name is reached as data['{reserved[1]}']"
    message = _PYTHON_TYPES.sub(_name_types, message)
    return message if len(message) <= _MAX_CHARACTERS else f"{message[:_MAX_CHARACTERS]}…"


def _name_types(types: re.Match[str]) -> str:
    return re.sub(r"'?(\w+)'?", lambda name: _TYPE_NAMES.get(name[1], name[0]), types[0])

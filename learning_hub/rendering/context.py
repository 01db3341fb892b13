"""The context in which a leaf is rendered: its variables, found by path, and its budget."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any, TextIO

from liquid.builtin.tags.for_tag import ForLoop
from liquid.context import RenderContext
from liquid.template import BoundTemplate
from liquid.token import Token
from liquid.undefined import UNDEFINED, StrictDefaultUndefined, StrictUndefined, Undefined
from liquid.utils import ReadOnlyChainMap

from learning_hub.rendering.budget import BoundedText, Budget
from learning_hub.rendering.values import refuse_missing

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Missing(StrictDefaultUndefined):
    """A missing value: false in a condition, replaced by `default`, an error in any other use."""

    __slots__ = ()

    # The attributes that python-liquid reads in a condition. Any other, such as text or length, raises.
    allowed_properties = StrictUndefined.allowed_properties | {"__class__", "__liquid__"}


class Context(RenderContext):
    """The state of a leaf while it is rendered."""

    __slots__ = ("budget", "time_zone")

    def __init__(
        self, template: BoundTemplate, scope: Mapping[str, object], budget: Budget, time_zone: str | None
    ) -> None:
        super().__init__(template, globals=scope)
        self.scope = ReadOnlyChainMap(self.locals, scope, self.counters)
        self.budget = budget
        self.time_zone = time_zone

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        """The value at the end of *path*, or a `Missing` that names the first step that is missing."""
        root = path[0]
        try:
            value = self.scope[root]  # type: ignore[index]  # A name in brackets can have any type.
        except (KeyError, TypeError):
            return self._missing(path[:1], token) if default is UNDEFINED else default
        for index in range(1, len(path)):
            if isinstance(value, Undefined):
                return value
            try:
                value = item_of(value, path[index])
            except (LookupError, TypeError):
                return self._missing(path[: index + 1], token) if default is UNDEFINED else default
        return value

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:  # noqa: ARG002 (named by the base class)
        """The buffer of `capture`; it counts as output."""
        return BoundedText(self.budget)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Count the iterations of a loop that is about to begin."""
        self.budget.spend_iterations(length)

    def _missing(self, path: list[object], token: Token | None) -> Undefined:
        return Missing(str(path[0]), hint=f"{spell_path(path)} is missing", token=token)


def item_of(value: Any, step: Any) -> object:
    """
    The item of *value* at *step*.

    An object has only its keys, so that an absent key named `size` is not mistaken for a count. A list has indexes,
    `first`, `last` and `size`; text has `size`.

    Raises:
        LookupError: *value* has no such item.
        UndefinedError: *step* itself is missing.
    """
    refuse_missing(step)
    if isinstance(value, (dict, ForLoop)):
        return value[step]
    if isinstance(value, (list, tuple, range)):
        if isinstance(step, int) and not isinstance(step, bool):
            return value[step]
        if step in ("first", "last"):
            return value[0 if step == "first" else -1]
    if step == "size" and isinstance(value, (list, tuple, range, str)):
        return len(value)
    raise LookupError(step)


def spell_path(path: Iterable[object]) -> str:
    """A path as a template writes it: `data['Course Name'].parts[0]`."""
    spelled = ""
    for step in path:
        if isinstance(step, str) and _PLAIN_NAME.fullmatch(step):
            spelled += f".{step}" if spelled else step
        else:
            spelled += f"[{step!r}]"
    return spelled

"""
The Liquid that templates are written in: python-liquid, made strict and bounded.

Left out are the tags that read other templates and the ones for HTML. `if` may ask for something missing, which counts
as not there, and so may comparisons with `nil`, `blank` and `empty`; everything else that touches a missing
value is an error. Number literals are decimals. `now` and `today` are no names (`'now' | date: …` works).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any, TextIO

from liquid import Environment
from liquid.ast import Node
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags import cycle_tag, echo_tag
from liquid.builtin.tags.for_tag import ForLoop
from liquid.context import RenderContext
from liquid.template import BoundTemplate
from liquid.token import Token
from liquid.undefined import UNDEFINED, StrictDefaultUndefined, StrictUndefined, Undefined
from liquid.utils import ReadOnlyChainMap

from learning_hub.rendering.filters import all_filters
from learning_hub.rendering.values import LimitReachedError, as_text, refuse_missing

_TAGS = frozenset((
    "#", "assign", "break", "capture", "case", "comment", "continue", "cycle", "decrement", "echo", "for", "if",
    "increment", "unless",
))  # fmt: skip
# python-liquid keeps the makers of its own nodes among the tags, under names that no template can write.
_INTERNAL_TAGS = frozenset(("content", "illegal", "output"))

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Budget:
    """What one payload may still use: characters of text and rounds of loops."""

    __slots__ = ("characters", "rounds")

    def __init__(self, characters: int, rounds: int) -> None:
        self.characters = characters
        self.rounds = rounds

    def spend_characters(self, count: int) -> None:
        """
        Take *count* characters.

        Raises:
            LimitReachedError: Fewer are left.
        """
        self.characters -= count
        if self.characters < 0:
            raise LimitReachedError("the output is larger than a payload may be")

    def spend_rounds(self, count: int) -> None:
        """
        Take *count* rounds of a loop.

        Raises:
            LimitReachedError: Fewer are left.
        """
        self.rounds -= count
        if self.rounds < 0:
            raise LimitReachedError("the loops of the template have more rounds than they may")


class BoundedText(StringIO):
    """Collects text within a budget, every line end as it is."""

    def __init__(self, budget: Budget) -> None:
        # With newline="" nothing is translated; python-liquid's own bounded stream turns CR and CRLF into LF.
        super().__init__(newline="")
        self._budget = budget

    def write(self, text: str, /) -> int:
        self._budget.spend_characters(len(text))
        return super().write(text)


class Missing(StrictDefaultUndefined):
    """Something that is not there: false in a condition, replaced by `default`, an error in all else."""

    __slots__ = ()

    # What python-liquid asks of a value in a condition. Anything else, such as its text or length, raises.
    allowed_properties = StrictUndefined.allowed_properties | {"__class__", "__liquid__"}


class Context(RenderContext):
    """What a leaf sees while it is rendered."""

    __slots__ = ("budget", "time_zone")

    def __init__(
        self, template: BoundTemplate, scope: Mapping[str, object], budget: Budget, time_zone: str | None
    ) -> None:
        super().__init__(template, globals=scope)
        self.scope = ReadOnlyChainMap(self.locals, scope, self.counters)
        self.budget = budget
        self.time_zone = time_zone

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        """The value at the end of *path*, or a `Missing` that names the first step that is not there."""
        root = path[0]
        try:
            value = self.scope[root]  # type: ignore[index]  # A name in brackets may be of any type.
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
        """Where `capture` collects; it counts like output."""
        return BoundedText(self.budget)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Count the rounds of a loop that is about to begin."""
        self.budget.spend_rounds(length)

    def _missing(self, path: list[object], token: Token | None) -> Undefined:
        return Missing(str(path[0]), hint=f"{spell_path(path)} is missing", token=token)


def item_of(value: Any, step: Any) -> object:
    """
    What *value* has at *step*.

    An object has its keys and nothing else, so that a key named `size` that is absent is not mistaken for a count;
    lists have indexes, `first`, `last` and `size`; text has `size`.

    Raises:
        LookupError: It is not there.
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


class TextNode(OutputNode):
    """`{{ … }}` inside text."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(as_text(self.expression.evaluate(context)))


class TextTag(Output):
    node_class = TextNode


class EchoNode(echo_tag.EchoNode):
    __slots__ = ()

    render_to_output = TextNode.render_to_output


class EchoTag(echo_tag.EchoTag):
    node_class = EchoNode


class CycleNode(cycle_tag.CycleNode):
    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        values = [value.evaluate(context) for value in self.args]
        group = as_text(self.group.evaluate(context)) if self.group else str(self)
        return buffer.write(as_text(values[context.cycle(group, len(values)) % len(values)]))


class CycleTag(cycle_tag.CycleTag):
    node_class = CycleNode


class Language(Environment):
    """The environment all templates are parsed in."""

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        self.tags = {name: tag for name, tag in self.tags.items() if name in _TAGS | _INTERNAL_TAGS}
        for tag in (TextTag, EchoTag, CycleTag):
            self.add_tag(tag)
        self.filters = all_filters(self.filters)


LANGUAGE = Language(undefined=Missing)


def evaluate(node: OutputNode, context: Context) -> object:
    """The value of a leaf that is exactly one `{{ … }}`."""
    return node.expression.evaluate(context)


def write_text(nodes: list[Node], context: Context) -> str:
    """The text of a leaf."""
    buffer = BoundedText(context.budget)
    for node in nodes:
        node.render(context, buffer)
    return buffer.getvalue()

"""
The Liquid that templates are written in: python-liquid, made strict and bounded.

Tags that read other templates and tags for HTML are removed. Conditions and comparisons with `nil`, `blank` and `empty`
accept a missing value, which then counts as false or blank; any other use of a missing value is an error. Number
literals are decimals. `now` and `today` are not names; they are written as text (`'now' | date: …`).
"""

from __future__ import annotations

from typing import TextIO

from liquid import Environment
from liquid.ast import Node
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags import cycle_tag, echo_tag
from liquid.context import RenderContext

from learning_hub.rendering.budget import BoundedText
from learning_hub.rendering.context import Context, Missing
from learning_hub.rendering.filters import all_filters
from learning_hub.rendering.values import as_text

TAGS = frozenset((
    "#", "assign", "break", "capture", "case", "comment", "continue", "cycle", "decrement", "echo", "for", "if",
    "increment", "unless",
))  # fmt: skip
# python-liquid registers its internal nodes as tags too, under names that no template can write.
_INTERNAL_TAGS = frozenset(("content", "illegal", "output"))


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
    """The python-liquid environment in which all templates are parsed."""

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        self.tags = {name: tag for name, tag in self.tags.items() if name in TAGS | _INTERNAL_TAGS}
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

"""
What a leaf gives that depends on no event: literals and filters alone, worked out before any event comes.

A leaf with a name, a range or a tag in it is none. One that asks for the time is tried, since what it cannot read it
never can, but its value is not known: `'now'` is another one each time, and the zone is the subscriber's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from liquid.ast import Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Nil
from liquid.builtin.expressions.arguments import PositionalArgument
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.expressions.primitive import FalseLiteral, FloatLiteral, IntegerLiteral, StringLiteral, TrueLiteral
from liquid.builtin.output import OutputNode
from liquid.expression import Expression
from liquid.template import BoundTemplate

from learning_hub.model.json_values import write_json
from learning_hub.model.template import Gives, Leaf
from learning_hub.rendering.language import Budget, Context, evaluate, write_text
from learning_hub.rendering.limits import MOST_PAYLOAD_BYTES, MOST_ROUNDS
from learning_hub.rendering.values import to_json_value

_LITERALS = (FalseLiteral, FloatLiteral, IntegerLiteral, Nil, StringLiteral, TrueLiteral)
_ASK_FOR_THE_TIME = frozenset(("date", "imis_datetime", "in_zone"))
# Longer texts are known by their length alone.
_LONGEST_KEPT = 200


def is_constant(nodes: Iterable[Node]) -> bool:
    """Whether the leaf of *nodes* depends on no event."""
    return all(isinstance(node, ContentNode) or bool(_literals_of(node)) for node in nodes)


def work_out(template: BoundTemplate, expression: OutputNode | None, place: str) -> Leaf | None:
    """
    What the constant leaf at *place* gives, None where that is a matter of the time.

    Args:
        template: Of the leaf, for which `is_constant` is true.
        expression: Where the leaf is exactly one `{{ … }}`.
        place: In the templates.

    Raises:
        LiquidError: It cannot be rendered, for this event or any other.
    """
    context = Context(template, {}, Budget(characters=MOST_PAYLOAD_BYTES, rounds=MOST_ROUNDS), None)
    try:
        if expression is not None:
            value = to_json_value(evaluate(expression, context))
        else:
            value = write_text(template.nodes, context)
    except Exception as error:
        # At the ends of the calendar a time may be there in one zone and not in another.
        if isinstance(error.__cause__, OverflowError):
            return None
        raise
    return None if _asks_for_the_time(template.nodes) else _known(place, value)


def _known(place: str, value: Any) -> Leaf:
    if not isinstance(value, str):
        return Leaf(place, _type_of(value), constant=write_json(value).decode())
    leaf = Leaf(place, "text", shortest=len(value), longest=len(value))
    return leaf if len(value) > _LONGEST_KEPT else msgspec.structs.replace(leaf, constant=write_json(value).decode())


def _type_of(value: Any) -> Gives:
    if isinstance(value, bool):
        return "boolean"
    if value is None or isinstance(value, list | dict):
        return "text"
    return "integer" if isinstance(value, int) else "decimal"


def _literals_of(node: Node) -> list[Expression]:
    """The literals that an output is made of; none where it has anything else in it."""
    filtered = node.expression if isinstance(node, OutputNode) else None
    if not isinstance(filtered, FilteredExpression):
        return []
    arguments = [argument for filter_ in filtered.filters or () for argument in filter_.args]
    if not all(isinstance(argument, PositionalArgument) for argument in arguments):
        return []
    found = [filtered.left, *(argument.value for argument in arguments)]
    return found if all(isinstance(one, _LITERALS) for one in found) else []


def _asks_for_the_time(nodes: Iterable[Node]) -> bool:
    return any(filter_.name in _ASK_FOR_THE_TIME for node in nodes for filter_ in _filters_of(node))


def _filters_of(node: Node) -> Iterable[Filter]:
    filtered = node.expression if isinstance(node, OutputNode) else None
    return filtered.filters or () if isinstance(filtered, FilteredExpression) else ()

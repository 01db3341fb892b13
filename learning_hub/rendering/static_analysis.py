"""
Static analysis: what is known of the value of a leaf before any event.

The filters of a leaf that is one `{{ … }}` determine its type and, for text, its length. A leaf that consists only of
literals and filters is constant. It is evaluated here, so that a mistake in it is found when the template is saved.
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
from learning_hub.model.text_units import utf16_length
from learning_hub.rendering.budget import Budget
from learning_hub.rendering.context import Context
from learning_hub.rendering.filters import TEXT_FILTERS
from learning_hub.rendering.language import evaluate, write_text
from learning_hub.rendering.values import to_json_value

_LITERAL_TYPES: dict[type[Expression], Gives] = {
    FalseLiteral: "boolean", FloatLiteral: "decimal", IntegerLiteral: "integer", TrueLiteral: "boolean",
}  # fmt: skip
_LITERALS: tuple[type[Expression], ...] = (*_LITERAL_TYPES, Nil, StringLiteral)

_TYPED_FILTERS: dict[str, Gives] = {
    "boolean": "boolean", "decimal": "decimal", "imis_datetime": "imis_datetime", "in_zone": "time",
    "integer": "integer",
}  # fmt: skip
_FILTERS_THAT_KEEP_THE_TYPE = ("blank_to_null", "must_have")
_FILTERS_TO_TEXT = (*(name for name in TEXT_FILTERS if name != "split"), "join", "json", "truncatewords")
# Filters whose result can depend on the time of rendering (`'now'`) or on the subscriber's time zone.
_TIME_FILTERS = frozenset(("date", "imis_datetime", "in_zone"))

# For a longer constant text, only its length is kept and not its value.
_MAX_CONSTANT_CHARACTERS = 200


def analyze_leaf(
    place: str, template: BoundTemplate, expression: OutputNode | None, *, evaluates_constants: bool
) -> Leaf | None:
    """
    What is known of the leaf at *place*; None if nothing is known before an event.

    Args:
        place: The leaf's place in the templates.
        template: The compiled leaf.
        expression: Set if the leaf is exactly one `{{ … }}`.
        evaluates_constants: False for a leaf with errors, which cannot be evaluated.

    Raises:
        Exception: The leaf is constant and cannot be rendered for any event.
    """
    leaf = _infer(place, template.nodes, expression)
    if evaluates_constants and _is_constant(template.nodes):
        return _evaluate_constant(place, template, expression) or leaf
    return leaf


def _infer(place: str, nodes: Iterable[Node], expression: OutputNode | None) -> Leaf | None:
    """What is known of a leaf from its literals and filters, without evaluating it."""
    if expression is None:
        return Leaf(
            place, "text", shortest=sum(utf16_length(node.text) for node in nodes if isinstance(node, ContentNode))
        )
    filtered = expression.expression
    if not isinstance(filtered, FilteredExpression):
        return None
    leaf = _infer_literal(place, filtered.left)
    for filter_ in filtered.filters or ():
        leaf = _infer_after(filter_, leaf, place)
    return leaf


def _infer_literal(place: str, expression: Expression) -> Leaf | None:
    if isinstance(expression, StringLiteral):
        units = utf16_length(expression.value)
        return Leaf(place, "text", shortest=units, longest=units)
    gives = _LITERAL_TYPES.get(type(expression))
    return Leaf(place, gives) if gives else None


def _infer_after(filter_: Filter, leaf: Leaf | None, place: str) -> Leaf | None:
    """What is known of the result of a filter, given what is known of its input."""
    name, argument = filter_.name, _first_argument(filter_)
    if name in _FILTERS_THAT_KEEP_THE_TYPE:
        return leaf
    if name == "default":
        default = _infer_literal(place, argument) if argument is not None else None
        has_same_type = leaf is not None and default is not None and leaf.gives == default.gives != "text"
        return leaf if isinstance(argument, Nil) or has_same_type else None
    if name in _TYPED_FILTERS:
        return Leaf(place, _TYPED_FILTERS[name])
    if name == "date":
        return Leaf(place, "date") if argument is None else Leaf(place, "text")
    if name in ("text", "truncate"):
        is_bounded = isinstance(argument, IntegerLiteral) and argument.value >= 0
        limit = argument.value if is_bounded and isinstance(argument, IntegerLiteral) else None
        # `truncate` counts characters, each of which may have two units.
        return Leaf(place, "text", longest=limit if limit is None or name == "text" else 2 * limit)
    return Leaf(place, "text") if name in _FILTERS_TO_TEXT else None


def _first_argument(filter_: Filter) -> Expression | None:
    return next((argument.value for argument in filter_.args if isinstance(argument, PositionalArgument)), None)


def _is_constant(nodes: Iterable[Node]) -> bool:
    """Whether a leaf consists only of text, literals and filters; names, ranges and tags depend on the event."""
    return all(isinstance(node, ContentNode) or _is_constant_output(node) for node in nodes)


def _is_constant_output(node: Node) -> bool:
    filtered = node.expression if isinstance(node, OutputNode) else None
    if not isinstance(filtered, FilteredExpression):
        return False
    arguments = [argument for filter_ in filtered.filters or () for argument in filter_.args]
    return isinstance(filtered.left, _LITERALS) and all(
        isinstance(argument, PositionalArgument) and isinstance(argument.value, _LITERALS) for argument in arguments
    )


def _evaluate_constant(place: str, template: BoundTemplate, expression: OutputNode | None) -> Leaf | None:
    """The leaf with its value; None if the value can change with the time or the time zone."""
    context = Context(template, {}, Budget(), None)
    try:
        if expression is not None:
            value = to_json_value(evaluate(expression, context))
        else:
            value = write_text(template.nodes, context)
    except Exception as error:
        # At the ends of the calendar a time can exist in one time zone and not in another.
        if isinstance(error.__cause__, OverflowError):
            return None
        raise
    # A time filter is evaluated nevertheless, because text that it cannot read is a mistake at any time.
    return None if _uses_time(template.nodes) else _constant_leaf(place, value)


def _constant_leaf(place: str, value: Any) -> Leaf:
    leaf = Leaf(place, _type_of(value))
    if isinstance(value, str):
        units = utf16_length(value)
        leaf = Leaf(place, "text", shortest=units, longest=units)
        if len(value) > _MAX_CONSTANT_CHARACTERS:
            return leaf
    return msgspec.structs.replace(leaf, constant=write_json(value).decode())


def _type_of(value: Any) -> Gives:
    if isinstance(value, bool):
        return "boolean"
    if value is None or isinstance(value, str | list | dict):
        return "text"
    return "integer" if isinstance(value, int) else "decimal"


def _uses_time(nodes: Iterable[Node]) -> bool:
    return any(filter_.name in _TIME_FILTERS for node in nodes for filter_ in _filters_of(node))


def _filters_of(node: Node) -> Iterable[Filter]:
    filtered = node.expression if isinstance(node, OutputNode) else None
    return filtered.filters or () if isinstance(filtered, FilteredExpression) else ()

"""What a leaf will give, as far as its Liquid tells before any event comes."""

from __future__ import annotations

from collections.abc import Iterable

from liquid.ast import Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Nil
from liquid.builtin.expressions.arguments import PositionalArgument
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.expressions.primitive import FalseLiteral, FloatLiteral, IntegerLiteral, StringLiteral, TrueLiteral
from liquid.builtin.output import OutputNode
from liquid.expression import Expression

from learning_hub.model.template import Gives, Leaf
from learning_hub.rendering.filters import TEXT_FILTERS

_LITERALS: dict[type[Expression], Gives] = {
    FalseLiteral: "boolean", FloatLiteral: "decimal", IntegerLiteral: "integer", TrueLiteral: "boolean",
}  # fmt: skip
_TYPED: dict[str, Gives] = {
    "boolean": "boolean", "decimal": "decimal", "imis_datetime": "imis_datetime", "in_zone": "time",
    "integer": "integer",
}  # fmt: skip
_AS_IT_IS = ("blank_to_null", "must_have")
_MAKE_TEXT = (*(name for name in TEXT_FILTERS if name != "split"), "join", "json", "truncatewords")
_UNTOLD = None


def forecast(place: str, nodes: Iterable[Node], expression: OutputNode | None) -> Leaf | None:
    """
    What the leaf at *place* gives; None where that depends on the event.

    Args:
        place: In the templates.
        nodes: Of the leaf.
        expression: Where the leaf is exactly one `{{ … }}`.
    """
    if expression is None:
        return Leaf(place, "text", shortest=sum(len(node.text) for node in nodes if isinstance(node, ContentNode)))
    filtered = expression.expression
    if not isinstance(filtered, FilteredExpression):
        return _UNTOLD
    leaf = _literal(place, filtered.left)
    for filter_ in filtered.filters or ():
        leaf = _after(filter_, leaf, place)
    return leaf


def _literal(place: str, expression: Expression) -> Leaf | None:
    if isinstance(expression, StringLiteral):
        return Leaf(place, "text", shortest=len(expression.value), longest=len(expression.value))
    gives = _LITERALS.get(type(expression))
    return Leaf(place, gives) if gives else _UNTOLD


def _after(filter_: Filter, leaf: Leaf | None, place: str) -> Leaf | None:
    """What comes out of a filter that *leaf* goes into."""
    name, first = filter_.name, _first_argument(filter_)
    if name in _AS_IT_IS:
        return leaf
    if name == "default":
        given = _literal(place, first) if first is not None else _UNTOLD
        has_same = leaf is not None and given is not None and leaf.gives == given.gives != "text"
        return leaf if isinstance(first, Nil) or has_same else _UNTOLD
    if name in _TYPED:
        return Leaf(place, _TYPED[name])
    if name == "date":
        return Leaf(place, "date") if first is None else Leaf(place, "text")
    if name in ("text", "truncate"):
        is_bounded = isinstance(first, IntegerLiteral) and first.value >= 0
        return Leaf(place, "text", longest=first.value if is_bounded and isinstance(first, IntegerLiteral) else None)
    return Leaf(place, "text") if name in _MAKE_TEXT else _UNTOLD


def _first_argument(filter_: Filter) -> Expression | None:
    for argument in filter_.args:
        if isinstance(argument, PositionalArgument):
            return argument.value
    return None

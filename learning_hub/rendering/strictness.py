"""
Strict Liquid: mistakes that python-liquid would ignore are errors, when a template is compiled or when it is rendered.

Unknown filters, wrong arguments of filters and names that are not in scope are errors of the template. A missing
operand of a comparison becomes an error of the payload. Number literals become decimals, and the literals `'now'` and
`'today'` the present moment.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression, Nil, Path
from liquid.builtin.expressions.arguments import KeywordArgument
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.expressions.logical import (
    ContainsExpression,
    EqExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LtExpression,
    NeExpression,
)
from liquid.builtin.expressions.primitive import Blank, Empty, FloatLiteral, StringLiteral
from liquid.builtin.tags.case_tag import CaseNode
from liquid.context import RenderContext
from liquid.expression import Expression
from liquid.template import BoundTemplate
from liquid.undefined import is_undefined

from learning_hub.model.json_values import SpelledDecimal
from learning_hub.rendering.language import LANGUAGE
from learning_hub.rendering.scope import NAMES_IN_SCOPE
from learning_hub.rendering.values import PresentMoment, refuse_missing

_COMPARISONS = (
    ContainsExpression, EqExpression, GeExpression, GtExpression, LeExpression, LtExpression, NeExpression,
)  # fmt: skip


class RequiredOperand(Expression):
    """An operand of a comparison: an error when it is missing."""

    __slots__ = ("inner",)

    def __init__(self, inner: Expression) -> None:
        super().__init__(inner.token)
        self.inner = inner

    def evaluate(self, context: RenderContext) -> object:
        value = self.inner.evaluate(context)
        refuse_missing(value)
        return value

    def children(self) -> Iterable[Expression]:
        return [self.inner]


class BlankableOperand(RequiredOperand):
    """An operand that is compared with `blank` or `empty`: null and missing count as blank text."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        value = self.inner.evaluate(context)
        return "" if value is None or is_undefined(value) else value


def make_strict(template: BoundTemplate) -> list[str]:
    """
    Make *template* strict, in place.

    Returns:
        The messages of its errors, without full stops.
    """
    nodes = list(_all_nodes(template))
    for node, _ in nodes:
        if isinstance(node, CaseNode):
            _make_case_strict(node)
    expressions = [(each, names) for node, names in nodes for top in node.expressions() for each in _all_within(top)]
    for expression, _ in expressions:
        _make_expression_strict(expression)
    filtered = [expression for expression, _ in expressions if isinstance(expression, FilteredExpression)]
    messages = [message for each in filtered for filter_ in each.filters or () for message in _check_filter(filter_)]
    defaulted = {path for each in filtered for path in _paths_with_default(each)}
    everywhere = {*NAMES_IN_SCOPE, *(name for node, _ in nodes for name in node.template_scope())}
    unknown: dict[str, set[str]] = {}
    for expression, names in expressions:
        if isinstance(expression, Path) and id(expression) not in defaulted:
            root = expression.path[0]
            if isinstance(root, str) and root not in everywhere and root not in names:
                unknown.setdefault(root, everywhere | names)
    return messages + [_unknown_name(name, known) for name, known in unknown.items()]


def _all_nodes(template: BoundTemplate) -> Iterator[tuple[Node, frozenset[str]]]:
    """Each node, with the names that the loops around it define."""
    context = RenderContext(template)
    stack = [(node, frozenset[str]()) for node in template.nodes]
    while stack:
        node, names = stack.pop()
        yield node, names
        inside = names | frozenset(node.block_scope())
        # The `else` block of a loop is rendered when the loop has no iterations.
        outside = getattr(node, "default", None)
        children = node.children(context, include_partials=False)
        stack.extend((child, names if child is outside else inside) for child in children)


def _all_within(expression: Expression) -> Iterator[Expression]:
    stack = [expression]
    while stack:
        each = stack.pop()
        yield each
        stack.extend(each.children())


def _make_expression_strict(expression: Expression) -> None:
    if isinstance(expression, FloatLiteral):
        # python-liquid stores a float here and accepts any Number; the token has the spelling.
        expression.value = SpelledDecimal(str(Decimal(expression.token.value)))  # type: ignore[assignment]
    elif isinstance(expression, StringLiteral) and expression.value in ("now", "today"):
        expression.value = PresentMoment(expression.value)
    elif isinstance(expression, _COMPARISONS):
        expression.left, expression.right = _operands(expression.left, expression.right)


def _operands(left: Expression, right: Expression) -> tuple[Expression, Expression]:
    """The operands of a comparison, strict unless the other operand is `nil`, `blank` or `empty`."""
    if isinstance(left, Nil) or isinstance(right, Nil):
        return left, right
    wrapper = BlankableOperand if isinstance(left, _ABSENCE) or isinstance(right, _ABSENCE) else RequiredOperand
    return (
        wrapper(left) if isinstance(left, Path) else left,
        wrapper(right) if isinstance(right, Path) else right,
    )


_ABSENCE = (Blank, Empty)


def _make_case_strict(node: CaseNode) -> None:
    if not isinstance(node.expression, Path):
        return
    node.expression = RequiredOperand(node.expression)
    for block in node.blocks:
        alternatives = getattr(block, "expression", None)
        if alternatives is not None:
            alternatives.left = node.expression


def _paths_with_default(expression: FilteredExpression) -> set[int]:
    """The ids of the paths that `default` covers: the value that it is applied to, and all arguments."""
    names = [filter_.name for filter_ in expression.filters or ()]
    if "default" not in names:
        return set()
    arguments = (argument for filter_ in expression.filters or () for argument in filter_.children())
    return {id(each) for top in (expression.left, *arguments) for each in _all_within(top)}


def _check_filter(filter_: Filter) -> Iterator[str]:
    function = LANGUAGE.filters.get(filter_.name)
    if function is None:
        yield f"the filter {filter_.name} does not exist{_suggestion(filter_.name, LANGUAGE.filters)}"
        return
    positional = [argument for argument in filter_.args if not isinstance(argument, KeywordArgument)]
    named: dict[str, Any] = {
        argument.name: argument for argument in filter_.args if isinstance(argument, KeywordArgument)
    }
    for given, attribute in (("context", "with_context"), ("environment", "with_environment")):
        if getattr(function, attribute, False):
            named[given] = None
    try:
        inspect.signature(function).bind(None, *positional, **named)
    except TypeError as error:
        yield f"the filter {filter_.name} has wrong arguments: {error}"


def _unknown_name(name: str, known: Iterable[str]) -> str:
    if name == "forloop":
        return "forloop exists only inside a loop"
    known = [each for each in known if each != "forloop"]
    return f"{name} is not in scope{_suggestion(name, known)}; in scope are {', '.join(NAMES_IN_SCOPE)}"


def _suggestion(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""

"""
What can be said of a leaf's Liquid before any event comes, and the small changes that make it strict.

Found are filters that do not exist or are given the wrong arguments, and names that are not in scope. Changed in
place are number literals, which become decimals, and the operands of comparisons.
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
from liquid.builtin.expressions.primitive import Blank, Empty, FloatLiteral
from liquid.builtin.tags.case_tag import CaseNode
from liquid.context import RenderContext
from liquid.expression import Expression
from liquid.template import BoundTemplate
from liquid.undefined import is_undefined

from learning_hub.model.json_values import SpelledDecimal
from learning_hub.rendering.language import LANGUAGE
from learning_hub.rendering.values import refuse_missing

NAMES_IN_SCOPE = ("event", "data", "category", "participant", "subscription", "program")

_COMPARISONS = (
    ContainsExpression, EqExpression, GeExpression, GtExpression, LeExpression, LtExpression, NeExpression,
)  # fmt: skip


class Present(Expression):
    """A value that must be there: an operand of a comparison."""

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


class BlankWhenAbsent(Present):
    """A value that is compared with `blank` or `empty`: null and missing count as blank text."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        value = self.inner.evaluate(context)
        return "" if value is None or is_undefined(value) else value


def inspect_template(template: BoundTemplate) -> list[str]:
    """
    Make *template* strict, in place.

    Returns:
        What is wrong with it, a sentence each without full stop; empty when nothing is.
    """
    nodes = list(_all_nodes(template))
    for node, _ in nodes:
        if isinstance(node, CaseNode):
            _make_case_strict(node)
    expressions = [(each, names) for node, names in nodes for top in node.expressions() for each in _all_within(top)]
    defaulted = set[int]()
    problems = []
    for expression, _ in expressions:
        if isinstance(expression, FloatLiteral):
            # Any Number may stand where python-liquid keeps its float; the token has the spelling.
            expression.value = SpelledDecimal(str(Decimal(expression.token.value)))  # type: ignore[assignment]
        elif isinstance(expression, _COMPARISONS):
            expression.left, expression.right = _operands(expression.left, expression.right)
        elif isinstance(expression, FilteredExpression):
            problems += [problem for filter_ in expression.filters or () for problem in _check_filter(filter_)]
            defaulted |= _may_be_missing(expression)
    everywhere = {*NAMES_IN_SCOPE, *(name for node, _ in nodes for name in node.template_scope())}
    unknown: dict[str, set[str]] = {}
    for expression, names in expressions:
        if isinstance(expression, Path) and id(expression) not in defaulted:
            root = expression.path[0]
            if isinstance(root, str) and root not in everywhere and root not in names:
                unknown.setdefault(root, everywhere | names)
    return problems + [_unknown_name(name, known) for name, known in unknown.items()]


def _all_nodes(template: BoundTemplate) -> Iterator[tuple[Node, frozenset[str]]]:
    """Each node, with the names that the loops around it give."""
    context = RenderContext(template)
    waiting = [(node, frozenset[str]()) for node in template.nodes]
    while waiting:
        node, names = waiting.pop()
        yield node, names
        inside = names | frozenset(node.block_scope())
        # What stands after `else` is rendered where there is no round.
        outside = getattr(node, "default", None)
        children = node.children(context, include_partials=False)
        waiting.extend((child, names if child is outside else inside) for child in children)


def _all_within(expression: Expression) -> Iterator[Expression]:
    waiting = [expression]
    while waiting:
        each = waiting.pop()
        yield each
        waiting.extend(each.children())


def _operands(left: Expression, right: Expression) -> tuple[Expression, Expression]:
    """The operands of a comparison, made strict unless the other one asks whether something is there."""
    if isinstance(left, Nil) or isinstance(right, Nil):
        return left, right
    wrapper = BlankWhenAbsent if isinstance(left, _ABSENCE) or isinstance(right, _ABSENCE) else Present
    return (
        wrapper(left) if isinstance(left, Path) else left,
        wrapper(right) if isinstance(right, Path) else right,
    )


_ABSENCE = (Blank, Empty)


def _make_case_strict(node: CaseNode) -> None:
    if not isinstance(node.expression, Path):
        return
    node.expression = Present(node.expression)
    for block in node.blocks:
        alternatives = getattr(block, "expression", None)
        if alternatives is not None:
            alternatives.left = node.expression


def _may_be_missing(expression: FilteredExpression) -> set[int]:
    """The paths that `default` speaks for: what it is applied to, and its own arguments."""
    names = [filter_.name for filter_ in expression.filters or ()]
    if "default" not in names:
        return set()
    arguments = (argument for filter_ in expression.filters or () for argument in filter_.children())
    return {id(each) for top in (expression.left, *arguments) for each in _all_within(top)}


def _check_filter(filter_: Filter) -> Iterator[str]:
    function = LANGUAGE.filters.get(filter_.name)
    if function is None:
        yield f"there is no filter {filter_.name}{_suggestion(filter_.name, LANGUAGE.filters)}"
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
        yield f"the filter {filter_.name} is given the wrong arguments: {error}"


def _unknown_name(name: str, known: Iterable[str]) -> str:
    if name == "forloop":
        return "forloop is there only inside of a loop"
    known = [each for each in known if each != "forloop"]
    return f"{name} is not in scope{_suggestion(name, known)}; in scope are {', '.join(NAMES_IN_SCOPE)}"


def _suggestion(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (is it {near[0]}?)" if near else ""

"""
Compiled templates: rendered for every event, leaf by leaf.

A payload is built from the nodes of a template and not from text, so it is well-formed JSON whatever values the leaves
have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from liquid.builtin.output import OutputNode
from liquid.template import BoundTemplate

from learning_hub.model.errors import TemplateError
from learning_hub.model.json_errors import place_in
from learning_hub.model.json_values import check_json, write_json
from learning_hub.model.template import ALL_TEMPLATES, Leaf, choose_template
from learning_hub.rendering.budget import Budget
from learning_hub.rendering.context import Context
from learning_hub.rendering.error_messages import describe_error
from learning_hub.rendering.language import evaluate, write_text
from learning_hub.rendering.limits import MAX_PAYLOAD_BYTES, MAX_PAYLOAD_LEVELS
from learning_hub.rendering.progress import UNSHARED_PROGRESS, ProgressWriter
from learning_hub.rendering.values import to_json_value

_OMITTED = object()


class RenderState:
    """The state that the nodes share while one payload is rendered."""

    __slots__ = ("budget", "progress", "scope", "time_zone")

    def __init__(self, scope: Mapping[str, Any], time_zone: str | None, progress: ProgressWriter) -> None:
        self.scope = scope
        self.time_zone = time_zone
        self.progress = progress
        self.budget = Budget()


class TemplateNode(Protocol):
    """A value of a template document."""

    def render(self, state: RenderState) -> Any:
        """The JSON value for the payload; `_OMITTED` when it is left out."""


class LiteralNode:
    """A value that is copied unchanged from the template to the payload."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def render(self, state: RenderState) -> Any:  # noqa: ARG002
        return self.value


class LeafNode:
    """A string with Liquid; *expression* is set when it is exactly one `{{ … }}`, whose value keeps its type."""

    __slots__ = ("expression", "place", "template")

    def __init__(self, template: BoundTemplate, expression: OutputNode | None, place: str) -> None:
        self.template = template
        self.expression = expression
        self.place = place

    def render(self, state: RenderState) -> Any:
        state.progress.write("rendering", self.place)
        context = Context(self.template, state.scope, state.budget, state.time_zone)
        try:
            if self.expression is not None:
                return to_json_value(evaluate(self.expression, context))
            return write_text(self.template.nodes, context)
        # A hostile template can make python-liquid raise anything; that must fail this template alone.
        except Exception as error:
            raise TemplateError(describe_error(error), place=self.place) from error


class OmittableNode:
    """The value of `{"$omit": …}`: left out when it is null."""

    __slots__ = ("value",)

    def __init__(self, value: TemplateNode) -> None:
        self.value = value

    def render(self, state: RenderState) -> Any:
        value = self.value.render(state)
        return _OMITTED if value is None else value


class ObjectNode:
    """A JSON object."""

    __slots__ = ("members",)

    def __init__(self, members: dict[str, TemplateNode]) -> None:
        self.members = members

    def render(self, state: RenderState) -> dict[str, Any]:
        rendered = {key: member.render(state) for key, member in self.members.items()}
        return {key: value for key, value in rendered.items() if value is not _OMITTED}


class ListNode:
    """A JSON array."""

    __slots__ = ("items",)

    def __init__(self, items: list[TemplateNode]) -> None:
        self.items = items

    def render(self, state: RenderState) -> list[Any]:
        return [value for item in self.items if (value := item.render(state)) is not _OMITTED]


class CompiledTemplate(msgspec.Struct, frozen=True):
    """The template of one category. It can be rendered when it has no errors."""

    root: TemplateNode
    errors: list[TemplateError]
    leaves: list[Leaf]


class CompiledTemplates:
    """
    The templates of a subscription, ready to render.

    *errors* are all errors that the compiler found, in the order of the document. *leaves* are the leaves of whose
    values static analysis knows something.
    """

    def __init__(self, templates: dict[str, CompiledTemplate | None], errors: list[TemplateError]) -> None:
        compiled = [template for template in templates.values() if template is not None]
        self.errors = errors + [error for template in compiled for error in template.errors]
        self.leaves = [leaf for template in compiled for leaf in template.leaves]
        self._templates = templates

    def render(
        self,
        category: str | None,
        scope: Mapping[str, Any],
        time_zone: str | None,
        progress: ProgressWriter = UNSHARED_PROGRESS,
    ) -> tuple[str, bytes]:
        """
        The name of the template for *category*, and the payload for one event as JSON.

        Args:
            category: The value of the event's category, None without one.
            scope: The names that a template can use, as `scope.complete_scope` gives them.
            time_zone: The subscriber's IANA time zone; None is UTC.
            progress: Records each leaf before it is rendered.

        Raises:
            TemplateError: No template serves the category (code `category_off` or `no_template`), or the template has
                an error or gives no payload for this event (`template_error`).
        """
        if self.errors and not self._templates:
            raise self.errors[0]
        choice = choose_template(self._templates, category)
        template = self._templates[choice.name] if choice.name is not None else None
        if choice.name is None or template is None:
            raise _no_template(category, choice.code or "no_template")
        if template.errors:
            raise template.errors[0]
        payload = template.root.render(RenderState(scope, time_zone, progress))
        return choice.name, _write_payload(payload, template_place(choice.name))


def template_place(name: str) -> str:
    """The place of a whole template: its category or `_default`, shortened and escaped as `place_in` does."""
    return place_in("", name)[1:]


def _no_template(category: str | None, code: str) -> TemplateError:
    subject = "an event without a category" if category is None else f"the category {category}"
    reason = "is switched off" if code == "category_off" else "has no template, and there is no _default"
    error = TemplateError(f"{subject} {reason}", place=ALL_TEMPLATES)
    error.code = code
    return error


def _write_payload(payload: Any, place: str) -> bytes:
    try:
        raw = write_json(payload)
    except (ValueError, MemoryError) as error:
        raise TemplateError("the payload cannot be written as JSON", place=place) from error
    if len(raw) > MAX_PAYLOAD_BYTES:
        message = f"the payload has {len(raw):,} bytes, more than {MAX_PAYLOAD_BYTES // 1024} KiB"
        raise TemplateError(message, place=place)
    if errors := check_json(raw, place, MAX_PAYLOAD_LEVELS):
        raise TemplateError(errors[0].message, place=errors[0].field)
    return raw

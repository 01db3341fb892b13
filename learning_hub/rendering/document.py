"""
Template documents: compiled once, rendered for every event.

A template is a JSON document. Each string in it is Liquid, keys and all else are literal. A string that is exactly one
`{{ … }}` becomes the value with its type; any other becomes text. `{"$omit": …}` in a value's place leaves the
key out when the value is null. The result is built leaf by leaf, so it is well-formed JSON whatever the leaves say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from liquid.builtin.output import OutputNode
from liquid.exceptions import LiquidError, LiquidInterrupt
from liquid.template import BoundTemplate

from learning_hub.model.errors import FieldError, InvalidInput, TemplateError
from learning_hub.model.json_values import check_json, place_in, read_json, write_json
from learning_hub.model.template import ALL_TEMPLATES, OMIT, choose_template, has_liquid
from learning_hub.model.template import Leaf as LeafForecast
from learning_hub.rendering.bookmark import Bookmark
from learning_hub.rendering.constant import is_constant, work_out
from learning_hub.rendering.forecast import forecast
from learning_hub.rendering.inspection import inspect_template
from learning_hub.rendering.language import LANGUAGE, Budget, Context, evaluate, write_text
from learning_hub.rendering.limits import (
    MOST_PAYLOAD_BYTES,
    MOST_PAYLOAD_LEVELS,
    MOST_PROBLEMS,
    MOST_ROUNDS,
    MOST_TEMPLATE_BYTES,
    MOST_TEMPLATE_LEVELS,
)
from learning_hub.rendering.values import to_json_value

_LONGEST_MESSAGE = 300
_RESERVED = re.compile(r"expected an identifier, found ([a-z]+)")
# python-liquid names values by their Python types.
_TYPES_OF_PYTHON = re.compile(r"(?<=found )\w+$|(?<=between )'\w+' and '\w+'$")
_KINDS = {
    "NoneType": "null", "SpelledDecimal": "a number", "bool": "true or false", "dict": "an object", "int": "a number",
    "list": "a list", "range": "a range", "str": "text",
}  # fmt: skip
_OMITTED = object()
_NOWHERE = Bookmark()


class Run:
    """One rendering: the scope, the subscriber's time zone, what may still be used, and where it is."""

    __slots__ = ("bookmark", "budget", "scope", "time_zone")

    def __init__(self, scope: Mapping[str, Any], time_zone: str | None, bookmark: Bookmark) -> None:
        self.scope = scope
        self.bookmark = bookmark
        self.time_zone = time_zone
        self.budget = Budget(characters=MOST_PAYLOAD_BYTES, rounds=MOST_ROUNDS)


class Part(Protocol):
    """A piece of a compiled template."""

    def render(self, run: Run) -> Any:
        """The piece's value; `_OMITTED` to be left out."""


class Constant:
    """What stands in the template as it is."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def render(self, run: Run) -> Any:  # noqa: ARG002
        return self.value


class Leaf:
    """A string with Liquid in it."""

    __slots__ = ("expression", "place", "template")

    def __init__(self, template: BoundTemplate, expression: OutputNode | None, place: str) -> None:
        self.template = template
        self.expression = expression
        self.place = place

    def render(self, run: Run) -> Any:
        run.bookmark.put("rendering", self.place)
        context = Context(self.template, run.scope, run.budget, run.time_zone)
        try:
            if self.expression is not None:
                return to_json_value(evaluate(self.expression, context))
            return write_text(self.template.nodes, context)
        # Whatever a hostile template brings python-liquid to, it is that template's error and nobody else's.
        except Exception as error:
            raise TemplateError(explain(error), place=self.place) from error


class Omittable:
    """A value that is left out when it is null."""

    __slots__ = ("part",)

    def __init__(self, part: Part) -> None:
        self.part = part

    def render(self, run: Run) -> Any:
        value = self.part.render(run)
        return _OMITTED if value is None else value


class Object:
    """A JSON object."""

    __slots__ = ("parts",)

    def __init__(self, parts: dict[str, Part]) -> None:
        self.parts = parts

    def render(self, run: Run) -> dict[str, Any]:
        rendered = {key: part.render(run) for key, part in self.parts.items()}
        return {key: value for key, value in rendered.items() if value is not _OMITTED}


class List:
    """A JSON array."""

    __slots__ = ("parts",)

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts

    def render(self, run: Run) -> list[Any]:
        return [value for part in self.parts if (value := part.render(run)) is not _OMITTED]


class CompiledTemplate(msgspec.Struct, frozen=True):
    """One template, which renders if it has no problems."""

    part: Part
    problems: list[TemplateError]
    leaves: list[LeafForecast]


class CompiledTemplates:
    """
    The templates of a subscription, ready to render.

    *problems* are all the errors found in them, in the order of the document; *leaves* those of whose values something
    is known.
    """

    def __init__(self, templates: dict[str, CompiledTemplate | None], problems: list[TemplateError]) -> None:
        self.problems = problems + [problem for each in templates.values() if each for problem in each.problems]
        self.leaves = [leaf for each in templates.values() if each for leaf in each.leaves]
        self._templates = templates

    def render(
        self, category: str | None, scope: Mapping[str, Any], time_zone: str | None, bookmark: Bookmark = _NOWHERE
    ) -> tuple[str, bytes]:
        """
        The payload for one event.

        Args:
            category: The value of the event's category, None without one.
            scope: The names a template sees; see `job.write_scope`.
            time_zone: The subscriber's IANA time zone; None is UTC.
            bookmark: Is put to each leaf.

        Returns:
            The name of the template taken, and the payload as JSON.

        Raises:
            TemplateError: No template serves the category (code `category_off` or `no_template`), or it cannot be
                rendered for this event.
        """
        if self.problems and not self._templates:
            raise self.problems[0]
        choice = choose_template(self._templates, category)
        template = self._templates[choice.name] if choice.name is not None else None
        if choice.name is None or template is None:
            raise no_template(category, choice.code or "no_template")
        if template.problems:
            raise template.problems[0]
        return choice.name, _written(template.part.render(Run(scope, time_zone, bookmark)), choice.name)


def no_template(category: str | None, code: str) -> TemplateError:
    """The error for an event that no template serves."""
    shown = "an event without a category" if category is None else f"the category {category}"
    reason = "is switched off" if code == "category_off" else "has no template, and there is no _default"
    error = TemplateError(f"{shown} {reason}", place=ALL_TEMPLATES)
    error.code = code
    return error


def compile_templates(templates: str | bytes, bookmark: Bookmark = _NOWHERE) -> CompiledTemplates:
    """
    The `Templates` of a subscription, from their JSON text; *bookmark* is put to each leaf.

    Never raises for what is in them: every error is among the problems, at its place (`_default.Items[0].Name`).
    """
    raw = templates.encode(errors="surrogatepass") if isinstance(templates, str) else templates
    if len(raw) > MOST_TEMPLATE_BYTES:
        return CompiledTemplates(
            {}, [TemplateError(f"are larger than {MOST_TEMPLATE_BYTES // 1024} KiB", place=ALL_TEMPLATES)]
        )
    faults = check_json(raw, ALL_TEMPLATES, MOST_TEMPLATE_LEVELS)
    if faults:
        return CompiledTemplates({}, [_outside(fault) for fault in faults])
    try:
        document = read_json(raw)
    except InvalidInput as error:
        return CompiledTemplates({}, [TemplateError(error.detail, place=ALL_TEMPLATES)])
    if not isinstance(document, dict):
        return CompiledTemplates({}, [TemplateError("must be an object of templates", place=ALL_TEMPLATES)])
    compiled = {
        name: None if value is None else _Compiler(bookmark).compile_template(value, _root_place(name))
        for name, value in document.items()
    }
    return CompiledTemplates(compiled, [])


def explain(error: Exception) -> str:
    """What went wrong, in one line for the person who wrote the template."""
    if isinstance(error, LiquidInterrupt):
        return f"{error} stands outside of a loop"
    if isinstance(error, LiquidError):
        return _explain_liquid(error)
    if isinstance(error, MemoryError):
        return "needs more memory than a template may use"
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    return "cannot be worked out: a filter or a comparison is given what it cannot work with"


def _explain_liquid(error: LiquidError) -> str:
    message = str(error.message).replace("\n", " ")
    if message == "unexpected liquid parsing error" and isinstance(error.__cause__, Exception):
        return explain(error.__cause__)
    reserved = _RESERVED.fullmatch(message)
    if reserved:
        return f"{reserved[1]} is a reserved word; a key of this name is reached as data['{reserved[1]}']"
    message = _TYPES_OF_PYTHON.sub(_in_words, message)
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}…"


def _in_words(types: re.Match[str]) -> str:
    return re.sub(r"'?(\w+)'?", lambda name: _KINDS.get(name[1], name[0]), types[0])


class _Compiler:
    """Compiles one template and keeps the problems it meets."""

    def __init__(self, bookmark: Bookmark) -> None:
        self.problems: list[TemplateError] = []
        self.leaves: list[LeafForecast] = []
        self._bookmark = bookmark

    def compile_template(self, value: Any, place: str) -> CompiledTemplate:
        if not isinstance(value, dict):
            part = self._refuse("a template must be an object, or null to ignore the category", place)
        elif OMIT in value:
            part = self._refuse(f"{OMIT} stands in the place of a value, not of a whole template", place)
        else:
            part = self._compile_object(value, place)
        return CompiledTemplate(part, self.problems, self.leaves)

    def _compile(self, value: Any, place: str) -> Part:
        if isinstance(value, str):
            return self._compile_leaf(value, place)
        if isinstance(value, list):
            return List([self._compile(item, place_in(place, index)) for index, item in enumerate(value)])
        if not isinstance(value, dict):
            return Constant(value)
        if OMIT not in value:
            return self._compile_object(value, place)
        if len(value) > 1:
            return self._refuse(f"an object with {OMIT} has no other keys", place)
        return Omittable(self._compile(value[OMIT], place_in(place, OMIT)))

    def _compile_object(self, value: dict[str, Any], place: str) -> Object:
        return Object({key: self._compile(item, place_in(place, key)) for key, item in value.items()})

    def _compile_leaf(self, text: str, place: str) -> Part:
        if not has_liquid(text):
            return Constant(text)
        if len(self.problems) >= MOST_PROBLEMS:
            return Constant(None)
        self._bookmark.put("compiling", place)
        try:
            template = LANGUAGE.from_string(text)
            problems = inspect_template(template)
        except (LiquidError, RecursionError, MemoryError) as error:
            return self._refuse(explain(error), place)
        for problem in problems:
            self._refuse(problem, place)
        expression = _only_expression(text, template)
        known = forecast(place, template.nodes, expression)
        if not problems and is_constant(template.nodes):
            try:
                known = work_out(template, expression, place) or known
            # As where it is rendered: whatever it brings python-liquid to is its own error.
            except Exception as error:  # noqa: BLE001
                return self._refuse(explain(error), place)
        self.leaves += filter(None, [known])
        return Leaf(template, expression, place)

    def _refuse(self, message: str, place: str) -> Part:
        self.problems.append(TemplateError(message, place=place))
        return Constant(None)


def _only_expression(text: str, template: BoundTemplate) -> OutputNode | None:
    """The expression of a leaf that is exactly one `{{ … }}`, None for any other leaf."""
    node = template.nodes[0] if len(template.nodes) == 1 else None
    exactly = isinstance(node, OutputNode) and text.startswith("{{") and text.endswith("}}")
    return node if exactly and isinstance(node, OutputNode) else None


def _outside(fault: FieldError) -> TemplateError:
    return TemplateError(fault.message, place=fault.field.removeprefix(f"{ALL_TEMPLATES}."))


def _root_place(name: str) -> str:
    return place_in("", name)[1:]


def _written(payload: Any, name: str) -> bytes:
    try:
        raw = write_json(payload)
    except (ValueError, MemoryError) as error:
        raise TemplateError("the payload cannot be written as JSON", place=_root_place(name)) from error
    if len(raw) > MOST_PAYLOAD_BYTES:
        raise TemplateError(
            f"the payload has {len(raw):,} bytes, more than {MOST_PAYLOAD_BYTES // 1024} KiB",
            place=_root_place(name),
        )
    for fault in check_json(raw, _root_place(name), MOST_PAYLOAD_LEVELS):
        raise TemplateError(fault.message, place=fault.field)
    return raw

"""
The compiler of template documents.

A template is a JSON document. Each string is Liquid; keys and all other values are literal. A string that is exactly
one `{{ … }}` becomes the value with its type; any other string becomes text. `{"$omit": …}` in place of a value leaves
the key out when the value is null.
"""

from __future__ import annotations

from typing import Any

from liquid.builtin.output import OutputNode
from liquid.exceptions import LiquidError
from liquid.template import BoundTemplate

from learning_hub.model.errors import InvalidInput, TemplateError
from learning_hub.model.json_errors import place_in
from learning_hub.model.json_values import check_json, read_json
from learning_hub.model.template import ALL_TEMPLATES, OMIT, Leaf, has_liquid
from learning_hub.rendering.compiled_templates import (
    CompiledTemplate,
    CompiledTemplates,
    LeafNode,
    ListNode,
    LiteralNode,
    ObjectNode,
    OmittableNode,
    TemplateNode,
    template_place,
)
from learning_hub.rendering.error_messages import describe_error
from learning_hub.rendering.language import LANGUAGE
from learning_hub.rendering.limits import MAX_TEMPLATE_BYTES, MAX_TEMPLATE_ERRORS, MAX_TEMPLATE_LEVELS
from learning_hub.rendering.progress import UNSHARED_PROGRESS, ProgressWriter
from learning_hub.rendering.static_analysis import analyze_leaf
from learning_hub.rendering.strictness import make_strict


def compile_templates(templates: str | bytes, progress: ProgressWriter = UNSHARED_PROGRESS) -> CompiledTemplates:
    """
    The compiled `Templates` of a subscription, from their JSON text; *progress* records each leaf.

    Never raises for the content of the templates: all mistakes are in `errors`, with their places
    (`_default.Items[0].Name`).
    """
    raw = templates.encode(errors="surrogatepass") if isinstance(templates, str) else templates
    document, errors = _read_document(raw)
    compiled = {
        name: None if value is None else _Compiler(progress).compile_template(value, template_place(name))
        for name, value in document.items()
    }
    return CompiledTemplates(compiled, errors)


def _read_document(raw: bytes) -> tuple[dict[str, Any], list[TemplateError]]:
    """The templates by category; or an empty dict, and the reasons why the document cannot be read."""
    if len(raw) > MAX_TEMPLATE_BYTES:
        return {}, [TemplateError(f"are larger than {MAX_TEMPLATE_BYTES // 1024} KiB", place=ALL_TEMPLATES)]
    if errors := check_json(raw, ALL_TEMPLATES, MAX_TEMPLATE_LEVELS):
        return {}, [TemplateError(each.message, place=each.field.removeprefix(f"{ALL_TEMPLATES}.")) for each in errors]
    try:
        document = read_json(raw)
    except InvalidInput as error:
        return {}, [TemplateError(error.detail, place=ALL_TEMPLATES)]
    if not isinstance(document, dict):
        return {}, [TemplateError("must be an object of templates", place=ALL_TEMPLATES)]
    return document, []


class _Compiler:
    """Compiles the template of one category and collects its errors."""

    def __init__(self, progress: ProgressWriter) -> None:
        self._progress = progress
        self._errors: list[TemplateError] = []
        self._leaves: list[Leaf] = []

    def compile_template(self, value: Any, place: str) -> CompiledTemplate:
        if not isinstance(value, dict):
            root = self._add_error("a template must be an object, or null to ignore the category", place)
        elif OMIT in value:
            root = self._add_error(f"{OMIT} replaces a value, not a whole template", place)
        else:
            root = self._compile_object(value, place)
        return CompiledTemplate(root, self._errors, self._leaves)

    def _compile(self, value: Any, place: str) -> TemplateNode:
        if isinstance(value, str):
            return self._compile_string(value, place)
        if isinstance(value, list):
            return ListNode([self._compile(item, place_in(place, index)) for index, item in enumerate(value)])
        if not isinstance(value, dict):
            return LiteralNode(value)
        if OMIT not in value:
            return self._compile_object(value, place)
        if len(value) > 1:
            return self._add_error(f"an object with {OMIT} must have no other keys", place)
        return OmittableNode(self._compile(value[OMIT], place_in(place, OMIT)))

    def _compile_object(self, value: dict[str, Any], place: str) -> TemplateNode:
        return ObjectNode({key: self._compile(item, place_in(place, key)) for key, item in value.items()})

    def _compile_string(self, text: str, place: str) -> TemplateNode:
        if not has_liquid(text):
            return LiteralNode(text)
        if len(self._errors) >= MAX_TEMPLATE_ERRORS:
            return LiteralNode(None)
        self._progress.write("compiling", place)
        try:
            template = LANGUAGE.from_string(text)
            messages = make_strict(template)
        except (LiquidError, RecursionError, MemoryError) as error:
            return self._add_error(describe_error(error), place)
        for message in messages:
            self._add_error(message, place)
        return self._compile_leaf(template, _only_expression(text, template), place, is_valid=not messages)

    def _compile_leaf(
        self, template: BoundTemplate, expression: OutputNode | None, place: str, *, is_valid: bool
    ) -> TemplateNode:
        try:
            leaf = analyze_leaf(place, template, expression, evaluates_constants=is_valid)
        # Evaluating a constant can raise anything that rendering it can.
        except Exception as error:  # noqa: BLE001
            return self._add_error(describe_error(error), place)
        if leaf is not None:
            self._leaves.append(leaf)
        return LeafNode(template, expression, place)

    def _add_error(self, message: str, place: str) -> TemplateNode:
        """Add an error, and return a node that replaces the faulty one; a template with errors is not rendered."""
        self._errors.append(TemplateError(message, place=place))
        return LiteralNode(None)


def _only_expression(text: str, template: BoundTemplate) -> OutputNode | None:
    """The expression of a leaf that is exactly one `{{ … }}`, None for any other leaf."""
    node = template.nodes[0] if len(template.nodes) == 1 else None
    is_whole_text = text.startswith("{{") and text.endswith("}}")
    return node if isinstance(node, OutputNode) and is_whole_text else None

"""
Whether templates fit the columns of the site. A template that can never work is a problem, one that may fail a warning.

A text is valid for every column whose type iMIS can read from it; a column for text takes any single value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from learning_hub.connectors.discovery import Field, Fields
from learning_hub.connectors.imis import activity, panel
from learning_hub.connectors.imis.record import is_single_value, is_within_range
from learning_hub.connectors.imis.settings import ImisTarget, PanelTarget
from learning_hub.connectors.imis.wire import is_date
from learning_hub.connectors.template_validation import TemplateProblem, TemplateValidation
from learning_hub.model.errors import FieldError
from learning_hub.model.json_errors import place_in
from learning_hub.model.json_values import read_json
from learning_hub.model.template import OMIT, Gives, Leaf, has_liquid
from learning_hub.model.text_units import utf16_length

KEY_LENGTH = 36
_INT32 = 2**31
_NUMBERS = ("Integer", "Decimal", "Monetary")
_TYPE_NAMES = {
    "String": "text", "Integer": "a whole number", "Decimal": "a number", "Monetary": "a number",
    "Boolean": "true or false", "Date": "a date or time",
}  # fmt: skip
_GIVES: dict[Gives, str] = {
    "text": "text", "integer": "a whole number", "decimal": "a number with a fraction", "boolean": "true or false",
    "date": "a date", "time": "a time", "imis_datetime": "a time",
}  # fmt: skip
# What a column can hold; every column can hold a text, since iMIS reads it.
_TAKEN: dict[str, Collection[Gives]] = {
    "Integer": ("text", "integer"),
    "Decimal": ("text", "integer", "decimal"),
    "Monetary": ("text", "integer", "decimal"),
    "Boolean": ("text", "boolean"),
    "Date": ("text", "date", "time", "imis_datetime"),
}
_WIDTHS: dict[Gives, int] = {"date": len("2031-03-14"), "imis_datetime": len("2031-03-14 15:20:00.000")}


def validate_templates(
    target: ImisTarget,
    key_property: str | None,
    templates: Mapping[str, Mapping[str, Any]],
    leaves: Mapping[str, Leaf],
    fields: Fields,
) -> TemplateValidation:
    """
    What in *templates* does not fit *fields*, in addition to what is known without asking the site.

    Args:
        target: Of the subscription.
        key_property: The column for the record key, None where there is none.
        templates: By category.
        leaves: What static analysis knows of leaves with Liquid, by place.
        fields: Of the target; without items nothing is validated.
    """
    validation = TemplateValidation(warnings=list(fields.warnings))
    if not fields.items:
        return validation
    _validate_key(target, key_property, fields, validation)
    for category, template in templates.items():
        _TemplateValidator(target, key_property, fields, validation, place_in("", category)[1:], leaves).validate(
            template
        )
    return validation


class _TemplateValidator:
    """Validates the template of one category, at *place*."""

    def __init__(
        self,
        target: ImisTarget,
        key_property: str | None,
        fields: Fields,
        validation: TemplateValidation,
        place: str,
        leaves: Mapping[str, Leaf],
    ) -> None:
        self._target = target
        self._key_property = key_property
        self._fields = {field.name.casefold(): field for field in fields.items}
        self._source = fields.target.name
        self._validation = validation
        self._place = place
        self._leaves = leaves

    def validate(self, template: Mapping[str, Any]) -> None:
        reported = {problem.place for problem in self._known_problems(template)}
        mapped = {self._column(name) for name in template} | {self._column(name) for name in reported}
        for name, value in template.items():
            if name in reported or not is_single_value(value):
                continue
            field = self._fields.get(self._column(name))
            if field is None:
                self._report_absent(name)
            elif field.read_only:
                self._refuse(name, "This is filled by the hub and by iMIS.")
            else:
                self._validate_value(name, field, value)
        for folded, field in self._fields.items():
            if folded not in mapped and self._must_be_mapped(field):
                self._refuse(field.label or field.name, f"{self._source} requires a value here, and nothing is mapped.")

    def _known_problems(self, template: Mapping[str, Any]) -> list[TemplateProblem]:
        if isinstance(self._target, PanelTarget):
            return panel.check_template(template, self._target)
        return activity.check_template(template, self._key_property or "")

    def _column(self, name: str) -> str:
        """The column that a key of a template names, case folded."""
        column = name if isinstance(self._target, PanelTarget) else activity.column_of(name) or name
        return column.casefold()

    def _must_be_mapped(self, field: Field) -> bool:
        is_key = self._key_property is not None and field.name.casefold() == self._column(self._key_property)
        # Blank, it becomes the time of the insert (iMIS reference, section 7.2).
        is_dated = not isinstance(self._target, PanelTarget) and field.name.casefold() == "transaction_date"
        return field.required and field.default is None and not (field.read_only or is_key or is_dated)

    def _report_absent(self, name: str) -> None:
        if isinstance(self._target, PanelTarget):
            columns = [field.name for field in self._fields.values() if not field.read_only]
            self._refuse(name, panel.no_column(self._source, name, columns))
        else:
            self._warn(name, "iMIS does not list this among the columns of its activities, and may pass it over.")

    def _validate_value(self, name: str, field: Field, value: Any) -> None:
        place = place_in(self._place, name)
        is_omittable = isinstance(value, Mapping)
        if is_omittable:
            value, place = value[OMIT], place_in(place, OMIT)
        if isinstance(value, str) and has_liquid(value):
            leaf = self._leaves.get(place)
            if leaf is None or leaf.constant is None:
                self._validate_leaf(name, field, leaf)
                return
            value = read_json(leaf.constant)
            if isinstance(value, Mapping | list):
                self._refuse(name, "iMIS takes only single values here.")
        if value is None or isinstance(value, Mapping | list):
            if value is None and not is_omittable and field.required:
                self._refuse(name, f"{self._source} requires a value here, and null is none.")
            return
        self._validate_literal(name, field, value)

    def _validate_literal(self, name: str, field: Field, value: Any) -> None:
        if isinstance(value, str) and field.type in _READS and not _READS[field.type](value):
            self._refuse(name, f"{field.name} takes {_type_name(field)}, and this is none.")
        elif not isinstance(value, str):
            gives: Gives = "boolean" if isinstance(value, bool) else "integer" if isinstance(value, int) else "decimal"
            self._validate_type(name, field, gives)
        if fault := _size_fault(field, value):
            self._refuse(name, fault)
        units = utf16_length(str(value))
        if field.type == "String" and field.length is not None and units > field.length:
            self._refuse(name, f"{field.name} holds {field.length} characters, and this has {units}.")

    def _validate_leaf(self, name: str, field: Field, leaf: Leaf | None) -> None:
        if leaf is not None:
            self._validate_type(name, field, leaf.gives)
        if field.type != "String" or field.length is None:
            return
        if leaf is None or (leaf.gives == "text" and leaf.longest is None and leaf.shortest <= field.length):
            self._warn(
                name,
                f"{field.name} holds {field.length} characters, and this has no limit. iMIS refuses what is longer; "
                f"text: {field.length} cuts it.",
            )
            return
        shortest = max(leaf.shortest, _WIDTHS.get(leaf.gives, 0))
        if shortest > field.length:
            self._refuse(name, f"{field.name} holds {field.length} characters, and this gives {shortest} or more.")
        elif leaf.longest is not None and leaf.longest > field.length:
            self._warn(
                name,
                f"{field.name} holds {field.length} characters, and this gives up to {leaf.longest}. iMIS refuses what "
                f"is longer; text: {field.length} cuts it.",
            )

    def _validate_type(self, name: str, field: Field, gives: Gives) -> None:
        if field.type in _TAKEN and gives not in _TAKEN[field.type]:
            advice = " The filter integer gives one." if field.type == "Integer" and gives == "decimal" else ""
            self._refuse(name, f"{field.name} takes {_type_name(field)}, and this gives {_GIVES[gives]}.{advice}")

    def _refuse(self, name: str, message: str) -> None:
        self._validation.problems.append(TemplateProblem(place_in(self._place, name), message))

    def _warn(self, name: str, message: str) -> None:
        self._validation.warnings.append(f"Templates.{place_in(self._place, name)}: {message}")


def _validate_key(target: ImisTarget, key_property: str | None, fields: Fields, validation: TemplateValidation) -> None:
    """The column for the record key must exist and hold the whole key."""
    if key_property is None:
        return
    is_panel = isinstance(target, PanelTarget)
    column = key_property if is_panel else activity.column_of(key_property) or key_property
    field = next((field for field in fields.items if field.name.casefold() == column.casefold()), None)
    message = _key_objection(column, field, fields, is_panel=is_panel)
    if message is None:
        return
    if is_panel:
        validation.target_errors.append(FieldError("Target.KeyProperty", message))
    elif field is None:
        validation.warnings.append(message)
    else:
        where = f"{message} It is the ActivityKeyProperty in the subscriber's Settings, which can name another column."
        validation.target_errors.append(FieldError("Target", where))


def _key_objection(column: str, field: Field | None, fields: Fields, *, is_panel: bool) -> str | None:
    source = fields.target.name
    if field is None and is_panel:
        columns = [one.name for one in fields.items if not one.read_only]
        return f"{panel.no_column(source, column, columns)} It must be one for text, {KEY_LENGTH} characters or more."
    if field is None:
        return f"iMIS does not list {column}, which keeps the hub's record key, among the columns of its activities."
    if is_panel and field.read_only:
        return f"{field.name} is filled by the hub or by iMIS. It must be a column of your own for text."
    if field.type not in ("String", None):
        return f"{field.name} takes {_type_name(field)}, and the hub's record key is text."
    if field.length is not None and field.length < KEY_LENGTH:
        return f"{field.name} holds {field.length} characters, and the hub's record key has {KEY_LENGTH}."
    return None


def _size_fault(field: Field, value: Any) -> str | None:
    """The message for a number that is too large, or a text that a column for numbers reads as such a number."""
    is_read = field.type in _NUMBERS if isinstance(value, str) else not isinstance(value, bool)
    if not is_read or not _is_number(str(value)):
        return None
    number = Decimal(str(value).strip())
    if not is_within_range(number):
        return "iMIS holds numbers up to about 7.9e28, and this is beyond."
    if field.type == "Integer" and not -_INT32 <= number < _INT32:
        return f"{field.name} takes whole numbers from {-_INT32} to {_INT32 - 1}, and this is beyond."
    return None


def _type_name(field: Field) -> str:
    return _TYPE_NAMES.get(field.type or "", field.type or "something else")


def _is_number(text: str) -> bool:
    try:
        return Decimal(text.strip()).is_finite()
    except InvalidOperation:
        return False


def _is_whole(text: str) -> bool:
    return _is_number(text) and Decimal(text.strip()) == Decimal(text.strip()).to_integral_value()


def _is_boolean(text: str) -> bool:
    return text.strip().casefold() in ("true", "false", "1", "0")


def _or_empty(reads: Callable[[str], bool]) -> Callable[[str], bool]:
    """An empty text clears a column of any type."""
    return lambda text: text == "" or reads(text)


_READS: dict[str | None, Callable[[str], bool]] = {
    "Integer": _or_empty(_is_whole),
    "Decimal": _or_empty(_is_number),
    "Monetary": _or_empty(_is_number),
    "Boolean": _or_empty(_is_boolean),
    "Date": _or_empty(is_date),
}

"""
Template documents as plain values: their reserved words, the template of a category, and what is known of a leaf.

`learning_hub.rendering` compiles and renders them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

# The key under `Templates` of the template for every category without its own, and for events without a category.
DEFAULT_TEMPLATE = "_default"
# The place of a template error that does not belong to a single template.
ALL_TEMPLATES = "Templates"
# The only key of an object that replaces a value; the value is left out when it is null.
OMIT = "$omit"

Gives = Literal["text", "integer", "decimal", "boolean", "date", "time", "imis_datetime"]


class Leaf(msgspec.Struct, frozen=True, array_like=True):
    """
    The result of the static analysis of a leaf, which is a string with Liquid in a template.

    *place* is its category and keys, joined with dots. The value has the type *gives*, or is null; a `date` is a day, a
    `time` is in ISO 8601. A text has at least *shortest* UTF-16 code units and at most *longest*; None means
    no limit.
    *constant* is the value as JSON text if it is the same for every event and not a text of over two hundred
    characters; otherwise it is None. For a constant null, list or object, *gives* is `text`.
    """

    place: str
    gives: Gives
    shortest: int = 0
    longest: int | None = None
    constant: str | None = None


class TemplateChoice(msgspec.Struct, frozen=True):
    """
    The template that serves a category, or the reason why no template does.

    *name* is the category's value or `_default`, None without a template. *code* is then `category_off` when the
    category is switched off with null, and `no_template` when the category has no template and `_default` is missing.
    """

    name: str | None
    code: Literal["category_off", "no_template"] | None = None


def choose_template(templates: Mapping[str, object], category: str | None) -> TemplateChoice:
    """
    The template for an event of *category*: the category's own template if it has one, else `_default`.

    Args:
        templates: From category value or `_default` to a template, or to None when it is switched off.
        category: `PublisherEventCategory.value`, None for an event without a category.
    """
    name = category if category is not None and category in templates else DEFAULT_TEMPLATE
    if name not in templates:
        return TemplateChoice(None, "no_template")
    return TemplateChoice(None, "category_off") if templates[name] is None else TemplateChoice(name)


def has_liquid(text: str) -> bool:
    """Whether *text* is Liquid; any other text renders to itself."""
    return "{{" in text or "{%" in text


def is_literal(leaf: object) -> bool:
    """Whether *leaf* is a single value that does not depend on the event."""
    return not has_liquid(leaf) if isinstance(leaf, str) else not isinstance(leaf, dict | list)

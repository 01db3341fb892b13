"""Which template serves a category."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

DEFAULT = "_default"
# The place of a template error that is in no one template.
WHOLE = "Templates"


class TemplateChoice(msgspec.Struct, frozen=True):
    """
    The template that serves a category, or why none does.

    *name* is the category's value or `_default`. Without a template it is None, and *code* says why: `category_off`
    when the category is switched off with null, `no_template` when it has none and there is no `_default`.
    """

    name: str | None
    code: Literal["category_off", "no_template"] | None = None


def choose_template(templates: Mapping[str, object], category: str | None) -> TemplateChoice:
    """
    The template of *templates* for an event of *category*: its own if it has one, else `_default`.

    Args:
        templates: From category value or `_default` to a template, or to None where it is switched off.
        category: `PublisherEventCategory.value`, None for an event without a category.
    """
    name = category if category is not None and category in templates else DEFAULT
    if name not in templates:
        return TemplateChoice(None, "no_template")
    return TemplateChoice(None, "category_off") if templates[name] is None else TemplateChoice(name)

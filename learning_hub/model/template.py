"""
Template documents as plain values: their reserved words, the template of a category, and what is known of a leaf.

`learning_hub.rendering` compiles and renders them.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Literal

import msgspec

from learning_hub.model.enumeration import enumerated
from learning_hub.model.participant_id import visible

# The key under `Templates` of the template for every category without its own, and for events without a category.
DEFAULT_TEMPLATE = "_default"
# The place of a template error that does not belong to a single template.
ALL_TEMPLATES = "Templates"
# The only key of an object that replaces a value; the value is left out when it is null.
OMIT = "$omit"

# How many categories a sentence names, and how many characters of each.
_MOST_NAMED = 10
_SHOWN_LENGTH = 100

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


def no_template_message(templates: Mapping[str, object], category: str | None) -> str:
    """
    A sentence for staff about a category without a template, which names the categories that have one.

    It asks for the category that is spelled almost alike, as in `is it Online?`. The function `no_template_signature`
    of schema.sql reads its beginning, up to the quoted category.
    """
    subject = "events without a category" if category is None else f"the category {_quoted(category)}"
    sentence = f"The subscription has no template for {subject}"
    if named := [name for name, template in templates.items() if template is not None]:
        sentence += f", only for {enumerated(map(_shown, named), most=_MOST_NAMED)}"
    guess = None if category is None else _similar_name(templates, category)
    if guess is None:
        return f"{sentence}."
    is_off = ", which is switched off" if templates[guess] is None else ""
    return f"{sentence}: is it {_shown(guess)}{is_off}?"


def _similar_name(templates: Mapping[str, object], category: str) -> str | None:
    """The name in *templates* that is spelled most like *category*; None if no name is similar."""
    by_spelling = {_spelling(name): name for name in templates}
    # Comparing takes time that grows with the length; categories of people's own are short.
    similar = difflib.get_close_matches(_spelling(category), by_spelling, n=1, cutoff=0.75)
    return by_spelling[similar[0]] if similar else None


def _spelling(name: str) -> str:
    """*name* without case, and without what is neither a letter nor a digit; its beginning if it is long."""
    return "".join(character for character in name.casefold() if character.isalnum())[:_SHOWN_LENGTH] or name


def _quoted(category: str) -> str:
    return visible(json.dumps(_cut(category), ensure_ascii=False))


def _shown(name: str) -> str:
    return visible(_cut(name))


def _cut(name: str) -> str:
    return name if len(name) <= _SHOWN_LENGTH else f"{name[:_SHOWN_LENGTH]}…"


def has_liquid(text: str) -> bool:
    """Whether *text* is Liquid; any other text renders to itself."""
    return "{{" in text or "{%" in text


def is_literal(leaf: object) -> bool:
    """Whether *leaf* is a single value that does not depend on the event."""
    return not has_liquid(leaf) if isinstance(leaf, str) else not isinstance(leaf, dict | list)

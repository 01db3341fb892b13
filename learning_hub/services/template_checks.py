"""Checks of templates that need no request to the subscriber."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from learning_hub.deliver.preview import target_problems
from learning_hub.model.errors import FieldError
from learning_hub.model.json_values import write_json
from learning_hub.model.subscriber import Subscriber
from learning_hub.model.template import Leaf
from learning_hub.rendering import Renderer


class CheckedTemplates(msgspec.Struct, frozen=True):
    """The errors in templates, each with its field, and the static analysis of their leaves."""

    errors: list[FieldError]
    leaves: list[Leaf]


async def check_templates(
    renderer: Renderer,
    subscriber: Subscriber | None,
    target: Mapping[str, Any] | None,
    templates: Mapping[str, Any],
    *,
    key_id: str,
) -> CheckedTemplates:
    """
    Compile *templates*, and compare their keys with the target.

    Args:
        renderer: Compiles them.
        subscriber: The receiver of the payloads; None if unknown.
        target: The target, which `Kind.check_target` found valid; None if it is not valid.
        templates: The templates by category, each an object, or null if the category is switched off.
        key_id: The key of the caller who waits for it.
    """
    analysis = await renderer.analyze(write_json(templates).decode(), preview_for=key_id)
    problems = [*analysis.errors]
    if subscriber is not None and target is not None:
        problems += target_problems(subscriber, target, templates)
    errors = [FieldError(template_field(problem.place), problem.message) for problem in problems]
    return CheckedTemplates(errors, analysis.leaves)


def template_field(place: str) -> str:
    """The field of a body for a template error at the path *place*."""
    return place if place == "Templates" else f"Templates.{place}"

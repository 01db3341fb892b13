"""What is wrong with the templates of a subscription for its target."""

from __future__ import annotations

import msgspec

from learning_hub.model.errors import FieldError


class TemplateProblem(msgspec.Struct, frozen=True):
    """A part of a template that the target cannot hold; *place* is its path in the template, keys joined with dots."""

    place: str
    message: str


class TemplateValidation(msgspec.Struct, kw_only=True):
    """
    What is wrong with templates for a target as it is at the subscriber now.

    *target_errors* are about the subscription's Target; the places of *problems* begin with the category. *warnings*
    are about what may fail, or could not be found out.
    """

    target_errors: list[FieldError] = []
    problems: list[TemplateProblem] = []
    warnings: list[str] = []

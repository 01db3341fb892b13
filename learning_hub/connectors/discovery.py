"""
Places where records land at a subscriber: what a connector tells of them, and how it makes one.

A connector that can is `Discovering` or `Building` besides what `connectors/base.py` asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import Meta

from learning_hub.connectors.base import Postponed, Recorder, Refused, TemplateProblem, Unknown
from learning_hub.model.errors import FieldError
from learning_hub.model.panel import PanelField
from learning_hub.model.template import Leaf


class Blueprint(msgspec.Struct, frozen=True, kw_only=True):
    """
    A place for records that is to be at the subscriber.

    *fields* are those it needs, the one for the record key among them; it may have others. *is_read_only* flags those
    that are added as not to be changed by people.
    """

    name: str
    description: str
    fields: tuple[PanelField, ...]
    is_read_only: bool = False


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """
    The place as it stands now, read back from the subscriber.

    *name* is as the subscriber spells it, *fields* all it has now, *before* those it had (None: it was made). *lacks*
    names fields of the blueprint that did not come about, although nothing was refused. *rows_readable* says whether
    records can be read there; None where that could not be told. *findings* are sentences for a person.
    """

    name: str
    fields: list[PanelField]
    before: list[PanelField] | None
    lacks: list[str]
    rows_readable: bool | None
    findings: list[str]


class Clash(msgspec.Struct, frozen=True):
    """Something else has the name already, or a field of it is of another type; nothing was changed."""

    message: str


class Target(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Where records can land at a subscriber."""

    name: Annotated[str, Meta(description="As the subscriber spells it.")]
    kind: Annotated[str, Meta(description="`activity` or `panel`, as in the Target of a subscription.")]
    instances: (
        Annotated[Literal["single", "multi"], Meta(description="Whether a contact has one record there, or many.")]
        | None
    ) = None
    description: str | None = None


class Field(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A property of the records of a target."""

    name: Annotated[str, Meta(description="As the subscriber spells it; templates may use any case.")]
    label: Annotated[str, Meta(description="What templates may call it as well.")] | None = None
    type: (
        Annotated[
            str, Meta(description="`String`, `Integer`, `Decimal`, `Monetary`, `Boolean`, `Date`; null: not known.")
        ]
        | None
    )
    length: Annotated[int, Meta(description="Characters of a text; null: no limit, or none that is known.")] | None = (
        None
    )
    required: Annotated[bool, Meta(description="A record must have a value there.")] = False
    default: Annotated[str, Meta(description="What is put in where a new record has no value.")] | None = None
    read_only: Annotated[bool, Meta(description="No template can fill it; FilledBy says who does.")] = False
    filled_by: Annotated[Literal["hub", "imis"], Meta(description="Who fills it, where no template can.")] | None = None
    caption: str | None = None
    description: str | None = None


class Targets(msgspec.Struct, frozen=True, kw_only=True):
    """Where records can land, by name; *warnings* are sentences about what could not be found out."""

    items: list[Target]
    warnings: list[str] = []


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """
    The properties of a target, in the subscriber's order; none where it does not tell.

    *rows_readable* says whether the account may read records there just now, None where that is not known. *warnings*
    are sentences about what could not be found out, or has to be done before records can land.
    """

    target: Target
    items: list[Field]
    rows_readable: bool | None = None
    warnings: list[str] = []


class NoTarget(msgspec.Struct, frozen=True):
    """There is no such target, as far as the subscriber tells; *message* says what to do."""

    message: str


class TemplateValidation(msgspec.Struct, kw_only=True):
    """
    What is wrong with templates for a target as it is at the subscriber.

    *target_errors* are about the subscription's Target; the places of *problems* begin with the category. *warnings*
    are about what may fail, or could not be found out.
    """

    target_errors: list[FieldError] = []
    problems: list[TemplateProblem] = []
    warnings: list[str] = []


class Building(Protocol):
    """A connector that can make a place for records at the subscriber (`Kind.can_build`)."""

    async def build(self, blueprint: Blueprint, recorder: Recorder) -> Built | Clash | Postponed | Refused | Unknown:
        """
        Make the place, or add to it what it lacks; nothing that is there is removed or narrowed.

        The same again changes nothing, so whatever the outcome is, it may be asked for again.
        """


class Discovering(Protocol):
    """
    A connector that can ask the subscriber where records can land (`Kind.can_describe`).

    It asks anew each time; an outcome where the subscriber cannot be asked.
    """

    async def targets(self, recorder: Recorder) -> Targets | Postponed | Refused | Unknown:
        """Where records can land."""

    async def fields(self, name: str, recorder: Recorder) -> Fields | NoTarget | Postponed | Refused | Unknown:
        """The properties of the target *name*, which is in any case."""

    async def judge(
        self,
        target: Mapping[str, Any],
        templates: Mapping[str, Mapping[str, Any]],
        leaves: Mapping[str, Leaf],
        recorder: Recorder,
    ) -> TemplateValidation | Postponed | Refused | Unknown:
        """
        What is wrong with *templates* besides what `Kind.check_template` says.

        Args:
            target: Found right by `Kind.check_target`.
            templates: By category, without those that are switched off.
            leaves: What is known of leaves with Liquid, by place.
            recorder: Takes the exchanges down.
        """

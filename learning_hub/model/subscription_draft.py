"""The draft of a subscription: the body of a PUT, with the values of its Preset and the defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import msgspec
from msgspec import Raw

from learning_hub.model.clock import read_time, written
from learning_hub.model.cron import schedule_fault, time_zone_fault
from learning_hub.model.errors import FieldError, InvalidInput
from learning_hub.model.event import EventType
from learning_hub.model.fields import collect, valid_members
from learning_hub.model.json_errors import place_in
from learning_hub.model.json_values import read_json, write_json
from learning_hub.model.preset import Preset
from learning_hub.model.subscription import Subscription, SubscriptionBody
from learning_hub.model.template import DEFAULT_TEMPLATE

EVENT_TYPES: tuple[str, ...] = get_args(EventType)
LONGEST_CATEGORY = 200
FIELDS = {field.name: field.encode_name for field in msgspec.structs.fields(SubscriptionBody)}
GIVEN_BY_PRESET = {"name", "target", "event_types", "templates"}


class SubscriptionSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The specification of a subscription; *templates_text* are the templates as sent."""

    name: str
    subscriber_id: str
    program_id: str
    publisher_system_id: str | None
    event_types: list[str]
    target: dict[str, Any]
    templates: dict[str, Any]
    templates_text: str
    schedule: str
    time_zone: str
    on_withdraw: str
    on_reopened: str
    state: str
    start_from: str

    def describes(self, existing: Subscription) -> bool:
        """Whether *existing* already equals this specification."""
        return all(
            write_json(getattr(self, name)) == write_json(getattr(existing, name))
            for name in self.__struct_fields__
            if name != "templates_text"
        )


class SubscriptionDraft:
    """
    The body of a PUT on its way to a specification.

    *values* holds the valid fields by attribute name, including those of the preset, which sent fields replace;
    *errors* holds the errors of the others. *valid_templates* are those that have the form of a template, so that they
    are checked even if others do not. More checks may add errors; `spec` gives the specification if none were found.
    """

    def __init__(self, fields: Mapping[str, Raw], presets: Mapping[str, Preset]) -> None:
        given, self.errors = collect(fields, SubscriptionBody)
        self.values = {name: value for name, value in given.items() if value not in (None, b"null")}
        self._read_event_types(fields.get("EventTypes"))
        self._read_object("target", "Target")
        self._templates_text: str | None = None
        self._read_templates(fields.get("Templates"))
        self.preset = self._fill_in_preset(presets)
        self._fill_in_defaults()
        self._check_texts()
        self._need("name", "subscriber_id", "program_id", "event_types", "target", "templates")

    def spec(self, existing: Subscription | None) -> SubscriptionSpec:
        """
        The specification of a draft without errors, which replaces *existing*.

        State and StartFrom that were not sent are taken from *existing*, unless that is archived.
        """
        text = self._templates_text
        if text is None:
            text = write_json(self.values["templates"]).decode()
        stays = {"state": "started", "start_from": "now"}
        if existing is not None and existing.archived_utc is None:
            stays = {"state": existing.state, "start_from": existing.start_from}
        specified: dict[str, Any] = {
            name: self.values.get(name, stays.get(name)) for name in SubscriptionSpec.__struct_fields__
        }
        return SubscriptionSpec(**specified | {"templates_text": text})

    @property
    def valid_templates(self) -> dict[str, Any]:
        """The templates, including the preset's, without those that are not an object."""
        given = self.preset.templates if self.preset else {}
        return {name: one for name, one in (given | self._sent_templates).items() if one is None or is_template(one)}

    def refuse(self, field: str, message: str) -> None:
        """Add an error."""
        self.errors.append(FieldError(field, message))

    def _read_event_types(self, raw: Raw | None) -> None:
        """Report errors of the list with the item and the choices; msgspec names neither."""
        faults = [error for error in self.errors if error.field.startswith("EventTypes")]
        if raw is None or (not faults and "event_types" not in self.values):
            return
        try:
            sent = read_json(bytes(raw))
        except InvalidInput:
            return
        self.errors = [error for error in self.errors if error not in faults]
        if not isinstance(sent, list) or not sent:
            self.refuse("EventTypes", f"must be a list of event types: {', '.join(EVENT_TYPES)}")
            return
        for index, item in enumerate(sent):
            if item not in EVENT_TYPES:
                self.refuse(f"EventTypes[{index}]", f"must be one of {', '.join(EVENT_TYPES)}")
            elif item in sent[:index]:
                self.refuse(f"EventTypes[{index}]", "is listed twice")

    def _read_object(self, name: str, field: str) -> None:
        if name not in self.values:
            return
        value = read_json(self.values[name])
        if isinstance(value, dict):
            self.values[name] = value
        else:
            del self.values[name]
            self.refuse(field, "must be an object")

    def _read_templates(self, raw: Raw | None) -> None:
        self._sent_templates: dict[str, Any] = {}
        text = self.values.get("templates")
        if text is None:
            self._sent_templates = valid_members(bytes(raw or b""))
            self.errors += templates_faults(self._sent_templates) if self._sent_templates else []
            return
        templates = read_json(text)
        self.errors += templates_faults(templates)
        if isinstance(templates, dict):
            self.values["templates"] = self._sent_templates = templates
            self._templates_text = text.decode()
        else:
            del self.values["templates"]

    def _fill_in_preset(self, presets: Mapping[str, Preset]) -> Preset | None:
        """Take values that were not sent from the preset; templates category by category."""
        preset_id = self.values.pop("preset", None)
        if preset_id is None:
            return None
        preset = presets.get(preset_id)
        if preset is None:
            self.refuse("Preset", f"must be one of {', '.join(presets)}")
            return None
        bad = {error.field.partition("[")[0].partition(".")[0] for error in self.errors}
        for name in GIVEN_BY_PRESET - {"templates"}:
            if FIELDS[name] not in bad:
                self.values.setdefault(name, getattr(preset, name))
        if "Templates" not in bad:
            sent = self.values.get("templates", {})
            self.values["templates"] = preset.templates | sent
            self._templates_text = None
        return preset

    def _fill_in_defaults(self) -> None:
        for field in msgspec.structs.fields(SubscriptionBody):
            if field.default not in (None, msgspec.NODEFAULT):
                self.values.setdefault(field.name, field.default)

    def _check_texts(self) -> None:
        if fault := schedule_fault(self.values["schedule"]):
            self.refuse("Schedule", fault)
        if fault := time_zone_fault(self.values["time_zone"]):
            self.refuse("TimeZone", fault)
        if "start_from" not in self.values:
            return
        start_from = self.values["start_from"] = _read_start(self.values["start_from"])
        if start_from is None:
            self.refuse("StartFrom", "must be now, beginning, or an RFC 3339 time such as 2031-03-14T15:20:00Z")

    def _need(self, *names: str) -> None:
        bad = {error.field.partition("[")[0].partition(".")[0] for error in self.errors}
        # With an unknown preset, the fields that it would have given are unknown too.
        needed = set(names) - (GIVEN_BY_PRESET if "Preset" in bad else set())
        for name in names:
            if name in needed and name not in self.values and FIELDS[name] not in bad:
                self.refuse(FIELDS[name], "is required")


def is_template(value: Any) -> bool:
    """Whether *value* has the form of a template; its leaves are not checked."""
    return isinstance(value, dict)


def templates_faults(templates: Any) -> list[FieldError]:
    """Errors in the outer form of a subscription's Templates, before they are compiled."""
    if not isinstance(templates, dict):
        return [FieldError("Templates", "must be an object")]
    errors = [] if templates else [FieldError("Templates", f"must have a category or {DEFAULT_TEMPLATE}")]
    for category, template in templates.items():
        path = place_in("Templates", category)
        if not 1 <= len(category) <= LONGEST_CATEGORY:
            errors.append(FieldError(path, f"must be a category value of 1 to {LONGEST_CATEGORY} characters"))
        if template is not None and not is_template(template):
            errors.append(FieldError(path, "must be an object, or null to switch the category off"))
    return errors


def _read_start(text: str) -> str | None:
    """`now`, `beginning`, or the time in the hub's own spelling; None for anything else."""
    if text in ("now", "beginning"):
        return text
    try:
        return written(read_time(text))
    except ValueError:
        return None

"""
The types of the OpenAPI document that no Struct of an operation names: lists of values, unions, and parts of JSON.

Generators make a class of each; without a name each would be made anew wherever it occurs.
"""

from __future__ import annotations

from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta

from learning_hub.connectors.discovery import Target
from learning_hub.connectors.kind import Kind
from learning_hub.connectors.kinds import KINDS
from learning_hub.model import audit, delivery, failure, panel, run, subscription
from learning_hub.model.caller import Scope
from learning_hub.model.delivery import AttemptRequest, AttemptResponse
from learning_hub.model.event import EventType, WouldBe
from learning_hub.model.failure_group import GroupKind
from learning_hub.model.panel import MOST_FIELDS, PanelField

REFERENCE = "#/components/schemas/{name}"


def reference(component: str) -> dict[str, str]:
    """The schema that stands for the component of this name."""
    return {"$ref": REFERENCE.format(name=component)}


# What a component is called outside, where its Struct is called otherwise because the code has several of the kind.
NAMES = {
    "Counts": "RunCounts",
    "Difference": "FieldDifference",
    "Example": "ExampleDelivery",
    "Field": "TargetField",
    "FieldsPage": "TargetFieldPage",
    "Finding": "CheckFinding",
    "Group": "DeliveryGroup",
    "ReconcileAnswer": "Reconciliation",
    "Record": "SourceRecord",
    "ShownPause": "SubscriberPause",
    "ShownSubscriber": "Subscriber",
    "TargetsPage": "TargetPage",
}

# Lists of values, by the name of their component.
ENUMS: dict[str, tuple[str, ...]] = {
    "AuditAction": get_args(audit.Action),
    "AuditObjectType": get_args(audit.ObjectType),
    "Connector": tuple(KINDS),
    "DeliveryAction": get_args(delivery.Action),
    "DeliveryState": get_args(delivery.State),
    "EventType": get_args(EventType),
    "FailureClass": get_args(failure.FailureClass),
    "FilledBy": ("hub", "imis"),
    "FindingState": ("fine", "look", "wrong"),
    "GroupKind": get_args(GroupKind),
    "OnReopened": get_args(subscription.OnReopened),
    "OnWithdraw": get_args(subscription.OnWithdraw),
    "ParticipantLookupMethod": ("as-is", "email"),
    "PanelFieldType": get_args(panel.FieldType),
    "RunState": get_args(run.RunState),
    "RunTrigger": get_args(run.Trigger),
    "Scope": get_args(Scope),
    "SubscriptionState": get_args(subscription.State),
    "TargetInstances": ("single", "multi"),
    "WouldBe": get_args(WouldBe),
}

_TARGETS = tuple(target for kind in KINDS.values() for target in kind.targets)


def _subscriber_body(connector: str, kind: Kind) -> type[msgspec.Struct]:
    credentials = {"oneOf": [reference(struct.__name__) for struct in kind.credentials]}
    return msgspec.defstruct(
        f"{kind.settings.__name__.removesuffix('Settings')}SubscriberBody",
        [
            ("name", Annotated[str, Meta(min_length=1, max_length=200)]),
            ("settings", Annotated[kind.settings, Meta(description="How to reach it.")]),
            ("credentials", Annotated[Any, Meta(extra_json_schema=credentials)], None),
        ],
        namespace={"__doc__": f"The body of a PUT of a subscriber for {kind.title}."},
        rename="pascal",
        tag_field="Connector",
        tag=connector,
        kw_only=True,
    )


_SUBSCRIBER_BODIES = tuple(_subscriber_body(connector, kind) for connector, kind in KINDS.items())

# Unions by name: the field that decides, and the Struct of each alternative.
UNIONS: dict[str, tuple[str, tuple[type[msgspec.Struct], ...]]] = {
    "SubscriberBody": ("Connector", _SUBSCRIBER_BODIES),
    "SubscriptionTarget": ("Kind", _TARGETS),
}

# Structs that only the tables of this module name.
STRUCTS: tuple[type[msgspec.Struct], ...] = (
    AttemptRequest,
    AttemptResponse,
    PanelField,
    Target,
    *_TARGETS,
    *_SUBSCRIBER_BODIES,
    *(credentials for kind in KINDS.values() for credentials in kind.credentials),
)

_NULL = {"type": "null"}
# Components that are no Struct, by name.
OTHERS: dict[str, dict[str, Any]] = {
    "JsonObject": {"description": "Any JSON object.", "type": "object", "additionalProperties": True},
    "Template": {
        "description": "A JSON object whose texts are Liquid: what is sent for an event.",
        "type": "object",
        "additionalProperties": True,
    },
}
_ANY_OBJECT = {"anyOf": [reference("JsonObject"), _NULL]}
# By category; null switches a category off.
_TEMPLATES = {"type": "object", "additionalProperties": {"anyOf": [reference("Template"), _NULL]}}
_PANEL_FIELDS = {
    "anyOf": [
        {"type": "string", "enum": ["basic"]},
        {
            "type": "array",
            "items": {"anyOf": [{"type": "string"}, reference("PanelField")]},
            "minItems": 1,
            "maxItems": MOST_FIELDS,
        },
    ]
}

# The schema of a field whose Struct does not tell it, because the hub passes the field on as JSON text or checks it by
# the kind of the subscriber. A field may be null where its Struct says so.
FIELD_SCHEMAS: dict[str, dict[str, Any]] = {
    "Attempt.Request": reference("AttemptRequest"),
    "Attempt.Response": reference("AttemptResponse"),
    "AuditEntry.After": _ANY_OBJECT,
    "AuditEntry.Before": _ANY_OBJECT,
    "DeliveryDetail.Payload": reference("JsonObject"),
    "PanelBody.Fields": _PANEL_FIELDS,
    "Preset.Connector": reference("Connector"),
    "Preset.Target": reference("SubscriptionTarget"),
    "Preset.Templates": _TEMPLATES,
    "PreviewBody.Templates": _TEMPLATES,
    "SavedSubscriber.Connector": reference("Connector"),
    "SavedSubscription.Target": reference("SubscriptionTarget"),
    "SavedSubscription.Templates": _TEMPLATES,
    "Subscriber.Connector": reference("Connector"),
    "Subscription.Target": reference("SubscriptionTarget"),
    "Subscription.Templates": _TEMPLATES,
    "SubscriptionBody.Target": reference("SubscriptionTarget"),
    "SubscriptionBody.Templates": _TEMPLATES,
    "SubscriptionPreview.Error": {"anyOf": [reference("PreviewError"), _NULL]},
    "Preview.Payload": _ANY_OBJECT,
    "SubscriptionPreview.Payload": _ANY_OBJECT,
    "TestSend.Request": reference("AttemptRequest"),
    "TestSend.Response": reference("AttemptResponse"),
    "ValidationResult.WouldBe": reference("WouldBe"),
}

"""Panels over HTTP: make a panel source at iMIS, and a subscription that fills it."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar.di import NamedDependency

from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.operation import Operation, ResponseSpec
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.api.subscribers import NO_SUCH_SUBSCRIBER
from learning_hub.connectors.outcomes import Postponed, Refused
from learning_hub.model.errors import Conflict, FieldError, InvalidFields
from learning_hub.model.panel import BASIC, RECORD_KEY, as_added, basic_template
from learning_hub.model.template import DEFAULT_TEMPLATE
from learning_hub.services.panel_spec import PanelBody
from learning_hub.services.panel_subscriptions import EVENT_TYPES
from learning_hub.services.panels import Panel, Panels, panel_not_made, panels_not_supported
from learning_hub.services.subscriber_availability import subscriber_paused

EXAMPLE_FIELDS = [as_added(field) for field in (RECORD_KEY, *(one.field for one in BASIC))]
EXAMPLE: dict[str, Any] = {
    "Name": "lh_completions",
    "Fields": msgspec.to_builtins(EXAMPLE_FIELDS),
    "Added": [field.name for field in EXAMPLE_FIELDS],
    "RowsReadable": False,
    "Findings": [
        "The panel source lh_completions was made, with 10 fields.",
        "Its rows cannot be read over REST yet. Tick Available via the REST API on the Security tab of the source.",
    ],
    "Subscription": {
        "Name": "Events to lh_completions",
        "SubscriberId": "imis",
        "ProgramId": "NURSES",
        "EventTypes": EVENT_TYPES,
        "Target": {"Kind": "panel", "Name": "lh_completions", "KeyProperty": RECORD_KEY.name},
        "Templates": {DEFAULT_TEMPLATE: basic_template(EXAMPLE_FIELDS[1:])},
        "State": "stopped",
    },
    "SubscriptionId": "lh_completions",
}

MAKE_PANEL = Operation(
    method="POST",
    path="/subscribers/{SubscriberId}/panels",
    operation_id="makePanel",
    summary="Make a panel source at iMIS, or add fields to it",
    description="The source has several rows for a contact, a field for the hub's record key, and the basic fields "
    "or those named. If the source exists, missing fields are added and text fields shorter than the requested Length "
    "are widened; nothing is removed or narrowed. The hub reads the source back from iMIS and reports what iMIS made. "
    "The response contains a subscription with the basic mapping, ready to be PUT; with a ProgramId the subscription "
    "is made at once, stopped, unless it exists. Findings list what only a person can do in iMIS.",
    tag="Setting up",
    scopes=("admin",),
    body=PanelBody,
    body_example={"Name": "lh_completions", "Fields": "basic", "ProgramId": "NURSES"},
    responses=(
        ResponseSpec(
            status=201,
            meaning="The panel source was made.",
            body=Panel,
            headers={"Location": "/subscribers/{SubscriberId}/targets/{Name}/fields."},
            example=EXAMPLE,
        ),
        ResponseSpec(
            status=200,
            meaning="The panel source existed, and now has these fields.",
            body=Panel,
            example=EXAMPLE | {"Added": [], "RowsReadable": True},
        ),
    ),
    errors=(
        NO_SUCH_SUBSCRIBER,
        InvalidFields([FieldError("Name", "is required")]),
        panels_not_supported("webhook"),
        subscriber_paused("imis", "2026-11-22T06:00:00Z", "iMIS refused the sign-in: 400.", then="send the same again"),
        Conflict(
            "There is a lh_completions at iMIS already: its field Units is text, not decimal. Choose another name, "
            "or ask for what is there.",
            code="panel_differs",
        ),
        panel_not_made(Refused(code="refused", message="The hub could not make the panel source: iMIS answered 403.")),
        panel_not_made(
            Postponed(
                code="rate_limited",
                message="The hub could not make the panel source: iMIS answered 429.",
                retry_after_seconds=30,
            )
        ),
    ),
)


class PanelController(ApiController):
    """Panel sources."""

    @route(MAKE_PANEL)
    async def make_panel(self, request: ApiRequest, panels: NamedDependency[Panels]) -> ApiResponse:
        subscriber_id = request.path_id("SubscriberId")
        panel, is_new = await panels.put(request.caller, subscriber_id, await request.read_fields())
        if not is_new:
            return ApiResponse(panel)
        location = f"/subscribers/{subscriber_id}/targets/{panel.name}/fields"
        return ApiResponse(panel, status=201, headers={"Location": location})

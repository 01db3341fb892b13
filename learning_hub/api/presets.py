"""Presets over HTTP."""

from __future__ import annotations

from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.operation import Operation, ResponseSpec
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.model.json_values import write_json
from learning_hub.model.pagination import Page, PageQuery
from learning_hub.model.preset import Preset
from learning_hub.presets import PRESETS
from learning_hub.services.presets import page_of_presets

EXAMPLE = write_json(next(iter(PRESETS.values())))

LIST_PRESETS = Operation(
    method="GET",
    path="/presets",
    operation_id="listPresets",
    summary="List the ready-made mappings",
    description="A subscription that is saved with a `Preset` gets its target, event types and templates.",
    tag="Setting up",
    scopes=("process", "staff", "admin"),
    query=PageQuery,
    responses=(
        ResponseSpec(
            status=200,
            meaning="Presets, ordered by id.",
            body=Page[Preset],
            example={"Items": [next(iter(PRESETS.values()))], "NextCursor": None},
        ),
    ),
)


class PresetController(ApiController):
    """Presets."""

    @route(LIST_PRESETS)
    async def list_presets(self, request: ApiRequest) -> ApiResponse:
        return ApiResponse(page_of_presets(request.read_query(PageQuery)))

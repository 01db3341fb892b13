"""Presets over HTTP."""

from __future__ import annotations

from learning_hub.api.call import Call
from learning_hub.api.lists import Listing, Page, PageQuery
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.routing import route
from learning_hub.model.json_values import write_json
from learning_hub.model.subscription import Preset
from learning_hub.presets import PRESETS

LISTING = Listing("presets", ordered_by="preset_id")
EXAMPLE = write_json(next(iter(PRESETS.values())))


@route(
    Operation(
        method="GET",
        path="/presets",
        operation_id="listPresets",
        summary="List the ready-made mappings",
        description="A subscription that is saved with a `Preset` gets its target, event types and templates.",
        tag="Setting up",
        scopes=("process", "staff", "admin"),
        query=PageQuery,
        answers=(
            Answer(
                status=200,
                meaning="Presets by id.",
                body=Page[Preset],
                example={"Items": [next(iter(PRESETS.values()))], "NextCursor": None},
            ),
        ),
    )
)
async def list_presets(call: Call) -> Reply:
    query = call.query(PageQuery)
    after = LISTING.after(query.cursor)
    found = [preset for preset_id, preset in sorted(PRESETS.items()) if preset_id > after]
    return Reply(body=LISTING.page(found[: query.limit + 1], query.limit))


ROUTES = (list_presets,)

"""
One batch on the wire: JSON Lines in the body, everything else in the address.

Source: LearningBuilder's documentation of API/WorkflowImportQueue/CreateBatch; the hub's contract, section 7. The
documentation does not give the form of the response, only that it contains WORKFLOW_IMPORT_QUEUE_BATCH_ID; so the hub
searches the whole response for that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from learning_hub.connectors.base import OutboundRecord
from learning_hub.connectors.http import HttpResponse
from learning_hub.connectors.learningbuilder.settings import LearningBuilderSettings, read_target
from learning_hub.model.errors import InvalidInput
from learning_hub.model.json_values import read_json, write_json

PATH = "/API/WorkflowImportQueue/CreateBatch"
# Identifies the hub's batches at LearningBuilder, which stores it as IMPORT_QUEUE_API:LH.
CREATION_PATH = "LH"

_BATCH_ID = "workflowimportqueuebatchid"
_LONGEST_ID = 200
# For a response that is text or XML.
_IN_TEXT = re.compile(r"workflow_?import_?queue_?batch_?id\W{1,10}([a-z0-9-]{1,64})", re.IGNORECASE)


def file_name_of(outbounds: Sequence[OutboundRecord]) -> str:
    """The name that LearningBuilder shows among its recent imports: the id of the first delivery, and no person."""
    return f"learning-hub-{outbounds[0].delivery_id}-{len(outbounds)}.jsonl"


def address_of(settings: LearningBuilderSettings, outbounds: Sequence[OutboundRecord]) -> str:
    """The URL for the batch of *outbounds*, which all have the same target."""
    query = {
        "fileName": file_name_of(outbounds),
        "importProcessId": str(read_target(outbounds[0].target).import_process_id),
        "creationPath": CREATION_PATH,
        "sendSuccessEmailTo": settings.success_email or "",
        "sendFailureEmailTo": settings.failure_email or "",
    }
    return f"{settings.base_url}{PATH}?{urlencode(query, quote_via=quote)}"


def lines_of(outbounds: Sequence[OutboundRecord]) -> bytes:
    """The body: one payload on each line, numbers as they are spelled."""
    return b"".join(write_json(outbound.payload) + b"\n" for outbound in outbounds)


def batch_id_in(response: HttpResponse) -> str | None:
    """The id of the batch that was created; None where the response does not contain it."""
    try:
        document = read_json(response.body)
    except InvalidInput:
        found = _IN_TEXT.search(response.text)
        return found[1] if found else None
    return next((_written(value) for value in _batch_ids_in(document) if _written(value)), None)


def _batch_ids_in(node: Any) -> Iterator[Any]:
    """Every value under the name of the batch id, in any case, with or without underscores, at any depth."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name.replace("_", "").lower() == _BATCH_ID:
                yield value
            yield from _batch_ids_in(value)
    elif isinstance(node, list):
        for item in node:
            yield from _batch_ids_in(item)


def _written(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= _LONGEST_ID and text.isprintable() else None

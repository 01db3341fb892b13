"""A LearningBuilder for tests: it keeps the batches that are posted to its import queue."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from http_server import HttpServer, Received, Says

API_KEY = "lb-key/0123456789+abcdef"
PROCESS = "77"


@dataclass
class Batch:
    """One batch that was taken."""

    batch_id: int
    query: dict[str, str]
    lines: list[Any]


class LearningBuilder(HttpServer):
    """Takes batches for the import process 77, from whoever has the key."""

    def __init__(self, base_path: str = "") -> None:
        super().__init__()
        self.batches: list[Batch] = []
        self._path = f"{base_path}/API/WorkflowImportQueue/CreateBatch"

    @property
    def lines(self) -> list[Any]:
        """What was taken, over all batches."""
        return [line for batch in self.batches for line in batch.lines]

    async def handle(self, request: Received) -> Says:
        if refusal := self._refusal(request):
            status, message = refusal
            return Says(status, json.dumps({"Message": message}).encode(), {"Content-Type": "application/json"})
        batch = Batch(4711 + len(self.batches), request.query, request.lines)
        self.batches.append(batch)
        answer = {"WORKFLOW_IMPORT_QUEUE_BATCH_ID": batch.batch_id, "Url": f"{self.address}/Batches/{batch.batch_id}"}
        return Says(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _refusal(self, request: Received) -> tuple[int, str] | None:
        query = request.query
        is_named = bool(query.get("fileName")) and re.fullmatch(r"[A-Z0-9_]{1,15}", query.get("creationPath", ""))
        refusals = [
            (request.headers.get("authorization") != f"apikey {API_KEY}", 401, "The API key is not valid."),
            ((request.method, request.path) != ("POST", self._path), 404, "There is no such address."),
            (request.headers.get("content-type") != "application/x-ndjson", 415, "The body must be JSON Lines."),
            (query.get("importProcessId") != PROCESS, 400, "There is no such import process."),
            (not is_named, 400, "fileName or creationPath is wrong."),
            (not request.body or b"\n\n" in request.body, 400, "Each line must be an object."),
        ]
        return next(((status, message) for applies, status, message in refusals if applies), None)

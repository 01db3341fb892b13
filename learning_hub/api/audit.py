"""The audit log over HTTP."""

from __future__ import annotations

from litestar.di import NamedDependency

from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.operation import Operation, ResponseSpec
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.model.audit import AuditEntry
from learning_hub.model.pagination import Page
from learning_hub.services.audit_log import AuditLog, AuditQuery

EXAMPLE = {
    "AuditId": 17,
    "AtUtc": "2026-11-22T08:00:00Z",
    "KeyId": "admin",
    "KeyName": "admin key of the settings",
    "Action": "create",
    "ObjectType": "program",
    "ObjectId": "NURSES",
    "Before": None,
    "After": {
        "ProgramId": "NURSES",
        "Name": "Nurses' continuing education",
        "CreatedUtc": "2026-11-22T08:00:00Z",
        "ArchivedUtc": None,
    },
}

LIST_AUDIT = Operation(
    method="GET",
    path="/audit",
    operation_id="listAudit",
    summary="Read who changed what, newest first",
    tag="Setting up",
    scopes=("admin",),
    query=AuditQuery,
    responses=(
        ResponseSpec(
            status=200,
            meaning="Changes, each with the values before and after it, without secrets.",
            body=Page[AuditEntry],
            example={"Items": [EXAMPLE], "NextCursor": None},
        ),
    ),
)


class AuditController(ApiController):
    """The audit log."""

    @route(LIST_AUDIT)
    async def list_audit(self, request: ApiRequest, audit_log: NamedDependency[AuditLog]) -> ApiResponse:
        return ApiResponse(await audit_log.page(request.read_query(AuditQuery)))

"""API keys over HTTP."""

from __future__ import annotations

from litestar.di import NamedDependency

from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.headers import NO_STORE
from learning_hub.api.http.operation import MERGE_PATCH_TEXT, Operation, ResponseSpec
from learning_hub.api.http.path_ids import ID_FORMS
from learning_hub.api.http.request import ApiRequest
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.model.api_key import Key, KeyBody, KeyPatch, NewKey
from learning_hub.model.pagination import Page, PageQuery
from learning_hub.services.keys import Keys, no_such_key

EXAMPLE_BODY = {"Name": "TopClass publishes", "Programs": ["NURSES"], "Scopes": ["publish", "read"], "ExpiresUtc": None}
NO_SUCH_KEY = no_such_key()
EXAMPLE = {
    "KeyId": ID_FORMS["KeyId"].example,
    **EXAMPLE_BODY,
    "CreatedUtc": "2026-11-22T08:00:00Z",
    "RevokedUtc": None,
    "LastUsedUtc": None,
}
EXAMPLE_NEW = {
    "KeyId": ID_FORMS["KeyId"].example,
    "Key": "lh_01KAN3S8E0QW5V8GJ1T2Z9RX4M_(43 letters and digits)_(checksum)",
    **EXAMPLE_BODY,
    "CreatedUtc": "2026-11-22T08:00:00Z",
}

MAKE_KEY = Operation(
    method="POST",
    path="/keys",
    operation_id="makeKey",
    summary="Make a key",
    description="The key is shown only in this response; the hub stores only its hash.",
    tag="Setting up",
    scopes=("admin",),
    body=KeyBody,
    body_example=EXAMPLE_BODY,
    responses=(
        ResponseSpec(
            status=201,
            meaning="The key, shown only in this response.",
            body=NewKey,
            headers={"Location": "/keys/{KeyId} of the key."},
            example=EXAMPLE_NEW,
        ),
    ),
)
LIST_KEYS = Operation(
    method="GET",
    path="/keys",
    operation_id="listKeys",
    summary="List all keys, including revoked and expired ones",
    tag="Setting up",
    scopes=("admin",),
    query=PageQuery,
    responses=(
        ResponseSpec(
            status=200,
            meaning="Keys without their secrets, the oldest first.",
            body=Page[Key],
            example={"Items": [EXAMPLE], "NextCursor": None},
        ),
    ),
)
GET_KEY = Operation(
    method="GET",
    path="/keys/{KeyId}",
    operation_id="getKey",
    summary="Read a key, without its secret",
    tag="Setting up",
    scopes=("admin",),
    responses=(ResponseSpec(status=200, meaning="The key.", body=Key, example=EXAMPLE, has_figures=True),),
    errors=(NO_SUCH_KEY,),
)
PATCH_KEY = Operation(
    method="PATCH",
    path="/keys/{KeyId}",
    operation_id="patchKey",
    summary="Change the name of a key, or when it expires",
    description=MERGE_PATCH_TEXT,
    tag="Setting up",
    is_conditional=True,
    scopes=("admin",),
    body=KeyPatch,
    body_example={"ExpiresUtc": None},
    responses=(ResponseSpec(status=200, meaning="The key as it is now.", body=Key, example=EXAMPLE),),
    errors=(NO_SUCH_KEY,),
)
REVOKE_KEY = Operation(
    method="DELETE",
    path="/keys/{KeyId}",
    operation_id="revokeKey",
    summary="Revoke a key: every process refuses it within a second",
    tag="Setting up",
    is_conditional=True,
    scopes=("admin",),
    responses=(ResponseSpec(status=204, meaning="The key is revoked, by this request or an earlier one."),),
    errors=(NO_SUCH_KEY,),
)


class KeyController(ApiController):
    """API keys."""

    @route(MAKE_KEY)
    async def make_key(self, request: ApiRequest, keys: NamedDependency[Keys]) -> ApiResponse:
        key = await keys.create(request.caller, await request.read_fields())
        return ApiResponse(key, status=201, headers={"Location": f"/keys/{key.key_id}", **NO_STORE})

    @route(LIST_KEYS)
    async def list_keys(self, request: ApiRequest, keys: NamedDependency[Keys]) -> ApiResponse:
        return ApiResponse(await keys.page(request.read_query(PageQuery)))

    @route(GET_KEY)
    async def get_key(self, request: ApiRequest, keys: NamedDependency[Keys]) -> ApiResponse:
        key = await keys.get(request.path_id("KeyId"))
        return ApiResponse(key, tag=key.tag, has_figures=True)

    @route(PATCH_KEY)
    async def patch_key(self, request: ApiRequest, keys: NamedDependency[Keys]) -> ApiResponse:
        key = await keys.patch(
            request.caller, request.path_id("KeyId"), await request.read_fields(), request.precondition()
        )
        return ApiResponse(key, tag=key.tag)

    @route(REVOKE_KEY)
    async def revoke_key(self, request: ApiRequest, keys: NamedDependency[Keys]) -> ApiResponse:
        await keys.revoke(request.caller, request.path_id("KeyId"), request.precondition())
        return ApiResponse(status=204)

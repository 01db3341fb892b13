"""The OpenAPI document and its pages for people."""

from __future__ import annotations

from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar.di import NamedDependency

import learning_hub
from learning_hub.api.http.controller import ApiController
from learning_hub.api.http.operation import Operation, ResponseSpec
from learning_hub.api.http.problem_kinds import PROBLEM_KINDS
from learning_hub.api.http.response import ApiResponse
from learning_hub.api.http.routing import route
from learning_hub.api.openapi.document import build_document, responses_of

# Only the beginning: the whole document would contain itself.
EXAMPLE_DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Learning Hub", "version": learning_hub.__version__},
    "paths": {},
}

pages = Environment(
    loader=PackageLoader("learning_hub.api", "pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)

GET_OPENAPI = Operation(
    method="GET",
    path="/schema/openapi.json",
    operation_id="getOpenApi",
    summary="Read this document",
    tag="Operating",
    is_public=True,
    responses=(
        ResponseSpec(status=200, meaning="The OpenAPI document.", body=dict[str, Any], example=EXAMPLE_DOCUMENT),
    ),
)
GET_DOCUMENTATION = Operation(
    method="GET",
    path="/schema",
    operation_id="getDocumentation",
    summary="Read the API documentation for people",
    tag="Operating",
    is_public=True,
    is_listed=False,
    responses=(ResponseSpec(status=200, meaning="A page."),),
)
GET_STYLESHEET = Operation(
    method="GET",
    path="/schema/style.css",
    operation_id="getStylesheet",
    summary="Read the stylesheet of the pages",
    tag="Operating",
    is_public=True,
    is_listed=False,
    responses=(ResponseSpec(status=200, meaning="A stylesheet."),),
)
GET_FRONT_DOOR = Operation(
    method="GET",
    path="/",
    operation_id="getFrontDoor",
    summary="Show the start page",
    tag="Operating",
    is_public=True,
    is_listed=False,
    responses=(ResponseSpec(status=200, meaning="A page."),),
)


class SchemaController(ApiController):
    """The OpenAPI document, and pages for people."""

    @route(GET_OPENAPI)
    async def get_openapi(self, operations: NamedDependency[list[Operation]]) -> ApiResponse:
        return ApiResponse(msgspec.json.encode(build_document(operations)))

    @route(GET_DOCUMENTATION)
    async def get_documentation(self, operations: NamedDependency[list[Operation]]) -> ApiResponse:
        document = build_document(operations)
        page = pages.get_template("schema.html").render(
            document=document, responses_of=responses_of, problem_kinds=PROBLEM_KINDS
        )
        return ApiResponse(page.encode(), media_type="text/html")

    @route(GET_STYLESHEET)
    async def get_stylesheet(self) -> ApiResponse:
        return ApiResponse(pages.get_template("style.css").render().encode(), media_type="text/css")

    @route(GET_FRONT_DOOR)
    async def get_front_door(self) -> ApiResponse:
        return ApiResponse(pages.get_template("front.html").render().encode(), media_type="text/html")

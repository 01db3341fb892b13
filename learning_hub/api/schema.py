"""The OpenAPI document and its pages for people."""

from __future__ import annotations

from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

import learning_hub
from learning_hub.api.call import Call
from learning_hub.api.openapi import build_document
from learning_hub.api.operations import Answer, Operation, Reply
from learning_hub.api.problem_kinds import PROBLEM_KINDS
from learning_hub.api.routing import route

# So much of it stands for the whole.
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


@route(
    Operation(
        method="GET",
        path="/schema/openapi.json",
        operation_id="getOpenApi",
        summary="This document",
        tag="Operating",
        is_public=True,
        answers=(Answer(status=200, meaning="The OpenAPI document.", body=dict[str, Any], example=EXAMPLE_DOCUMENT),),
    )
)
async def get_openapi(call: Call) -> Reply:
    return Reply(body=msgspec.json.encode(build_document(call.operations)))


@route(
    Operation(
        method="GET",
        path="/schema",
        operation_id="getDocumentation",
        summary="The API explained for people",
        tag="Operating",
        is_public=True,
        is_listed=False,
        answers=(Answer(status=200, meaning="A page."),),
    )
)
async def get_documentation(call: Call) -> Reply:
    page = pages.get_template("schema.html").render(
        document=build_document(call.operations), problem_kinds=PROBLEM_KINDS
    )
    return Reply(body=page.encode(), media_type="text/html")


@route(
    Operation(
        method="GET",
        path="/",
        operation_id="getFrontDoor",
        summary="Where to go from here",
        tag="Operating",
        is_public=True,
        is_listed=False,
        answers=(Answer(status=200, meaning="A page."),),
    )
)
async def get_front_door(_call: Call) -> Reply:
    return Reply(body=pages.get_template("front.html").render().encode(), media_type="text/html")


ROUTES = (get_openapi, get_documentation, get_front_door)

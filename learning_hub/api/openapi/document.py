"""The OpenAPI 3.1 document, built from the declarations of the operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

import learning_hub
from learning_hub.api.http.error_responses import by_code, error_responses
from learning_hub.api.http.operation import (
    EMPTY,
    EVENT_STREAM,
    JSON,
    JSON_LINES,
    MERGE_PATCH,
    Header,
    Operation,
    ResponseSpec,
)
from learning_hub.api.http.path_ids import ID_FORMS, IdForm, ids_in
from learning_hub.api.http.problem_kinds import PROBLEM_KINDS
from learning_hub.api.http.problems import MEDIA_TYPE, Problem, ProblemResponse
from learning_hub.api.openapi.descriptions import TAGS, describe
from learning_hub.api.openapi.named_types import reference
from learning_hub.api.openapi.schemas import Schemas, portable, without_null
from learning_hub.model.json_values import write_json

# 403 and 409 are described by their codes instead.
MEANING = {
    304: "The content is unchanged since the response whose ETag If-None-Match names.",
    400: "The request is wrong; `errors` lists every bad field.",
    401: "The request has no key, or a key that is unknown, expired or revoked.",
    404: "The object does not exist.",
    412: "What If-Match or If-None-Match asks for does not hold.",
    405: "The address does not support this method.",
    408: "The body came too slowly, and the connection is closed.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    429: "Too many requests with this key.",
    503: "The database is away, or too many requests are waiting.",
}
HEADERS: dict[str, dict[str, Any]] = {
    "Accept-Encoding": {"description": "The encodings accepted for a body."},
    "Allow": {"description": "The methods that the address supports."},
    "Connection": {"description": "`close`: the connection ends with this response."},
    "ETag": {
        "description": "Identifies what is shown, for If-None-Match; of what can be changed, for If-Match as well."
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "How to send a key."},
    "X-Request-Id": {"description": "Also in the hub's log."},
}
RESPONSE = "#/components/responses/{name}"
# Responses with more codes than this are named after their operation.
MOST_CODES_IN_A_NAME = 3


def build_document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The whole document, as JSON values in a fixed order."""
    listed = [operation for operation in operations if operation.is_listed]
    schemas = Schemas(_types(listed))
    errors = ErrorResponses()
    paths: dict[str, dict[str, Any]] = {}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas, errors)
    bodies = [described.get("requestBody") for methods in paths.values() for described in methods.values()]
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Learning Hub",
            "version": learning_hub.__version__,
            "description": (
                "An event store between learning systems, which publish events, and association systems, which "
                "subscribe to them. Every path also answers with the prefix /api. An operation without a requestBody "
                "takes no body: anything but blanks and {} is 400 body_not_taken."
            ),
            "license": {"name": "Proprietary", "identifier": "LicenseRef-Proprietary"},
        },
        "servers": [{"url": "/"}],
        "security": [{"ApiKey": []}, {"Bearer": []}, {"Basic": []}],
        "tags": [
            {"name": tag, "description": TAGS[tag]} for tag in dict.fromkeys(operation.tag for operation in listed)
        ],
        "paths": paths,
        "components": {
            "schemas": schemas.reachable([paths, errors.components], bodies=bodies),
            "responses": dict(sorted(errors.components.items())),
            "securitySchemes": {
                "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The key."},
                "Bearer": {"type": "http", "scheme": "bearer", "description": "The key as a bearer token."},
                "Basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The key's id, or any name, and the key as the password.",
                },
            },
        },
    }
    # Examples may be Structs; outside they are JSON values.
    values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    return values


def responses_of(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    """The responses of an operation of the document by status, with the shared ones in the place of references."""
    shared = document["components"]["responses"]
    return {
        status: shared[response["$ref"].rpartition("/")[2]] if "$ref" in response else response
        for status, response in operation["responses"].items()
    }


def _types(operations: Iterable[Operation]) -> list[Any]:
    """The types of all bodies and queries, each once."""
    types: list[Any] = [Problem]
    for operation in operations:
        for declared in (operation.body, operation.query, *(spec.body for spec in operation.responses)):
            if declared is not None and declared not in types:
                types.append(declared)
    return types


def _operation(operation: Operation, schemas: Schemas, errors: ErrorResponses) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": operation.operation_id, "summary": operation.summary}
    needs = f"Needs the scope {' or '.join(operation.scopes)}." if operation.scopes else ""
    if text := " ".join(part for part in (operation.description, needs) if part):
        described["description"] = text
    described["tags"] = [operation.tag]
    if operation.is_public:
        described["security"] = []
    if parameters := [
        *_path_parameters(operation),
        *_query_parameters(operation, schemas),
        *_header_parameters({**operation.headers, **(_conditions(operation) if operation.is_conditional else {})}),
    ]:
        described["parameters"] = parameters
    if operation.body is not None:
        content: dict[str, Any] = {"schema": schemas.of(operation.body)}
        if operation.body_example is not None:
            content["example"] = operation.body_example
        described["requestBody"] = {
            "required": not operation.body_optional,
            "content": {MERGE_PATCH if operation.method == "PATCH" else JSON: content},
        }
        if operation.takes_lines:
            described["requestBody"]["content"][JSON_LINES] = {
                "schema": {"type": "string", "description": "One item of the list a line."},
                "example": "".join(f"{write_json(item).decode()}\n" for item in operation.body_example),
            }
    described["responses"] = _responses(operation, schemas, errors)
    return described


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": describe("path", name),
            "schema": _schema_of(form),
            "example": form.example,
        }
        for name, form in ((name, ID_FORMS[name]) for name in ids_in(operation.path))
    ]


def _schema_of(form: IdForm) -> dict[str, Any]:
    return {
        "type": "string",
        "pattern": portable(form.pattern),
        "minLength": form.min_length,
        "maxLength": form.max_length,
    }


def _query_parameters(operation: Operation, schemas: Schemas) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    required = schemas.required(operation.query)
    parameters = []
    for name, declared in schemas.fields(operation.query).items():
        schema = without_null(declared)
        described = {"description": schema.pop("description", describe("query", name))}
        parameters.append({"name": name, "in": "query", "required": name in required, **described, "schema": schema})
    return parameters


def _conditions(operation: Operation) -> dict[str, Header]:
    tags = "`*`, or ETags of the responses that you have seen"
    conditions = {"If-Match": Header(meaning=f"Change it only if it has one of these: {tags}.", min_length=1)}
    if operation.method == "PUT":
        meaning = "With `*`: make it only if it does not exist."
        conditions["If-None-Match"] = Header(meaning=meaning, min_length=1)
    return conditions


def _header_parameters(headers: Mapping[str, Header]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": header.meaning,
            "schema": {"type": "string", "minLength": header.min_length}
            | ({"maxLength": header.max_length} if header.max_length else {}),
        }
        for name, header in headers.items()
    ]


def _responses(operation: Operation, schemas: Schemas, errors: ErrorResponses) -> dict[str, Any]:
    described = {str(spec.status): _response(operation, spec, schemas) for spec in operation.responses}
    if _can_be_unchanged(operation):
        described["304"] = {"description": MEANING[304], "headers": _headers("ETag")}
    for status, responses in error_responses(operation).items():
        described[str(status)] = errors.reference(operation, status, responses)
    return dict(sorted(described.items()))


def _response(operation: Operation, spec: ResponseSpec, schemas: Schemas) -> dict[str, Any]:
    headers = _headers("ETag") if _has_tag(operation) else _headers()
    headers |= {name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in spec.headers.items()}
    described: dict[str, Any] = {"description": spec.meaning, "headers": headers}
    if spec.body is None:
        return described
    described["content"] = {}
    if spec.is_often_empty:
        # First, because generated clients read the first type that they know, and fail at JSON that is not sent.
        described["content"][EMPTY] = {"schema": {"type": "string", "maxLength": 0}, "example": ""}
    described["content"][spec.media_type] = {"schema": schemas.of(spec.body)}
    if spec.example is not None:
        described["content"][spec.media_type]["example"] = spec.example
    if spec.event_stream is not None:
        described["content"][EVENT_STREAM] = {"schema": {"type": "string"}, "example": spec.event_stream}
    return described


def _has_tag(operation: Operation) -> bool:
    """Whether its responses have an ETag: all but streams, and what is gone."""
    is_changed = operation.is_conditional and operation.method != "DELETE"
    return is_changed or (operation.method == "GET" and all(spec.event_stream is None for spec in operation.responses))


def _can_be_unchanged(operation: Operation) -> bool:
    """Whether it can answer 304."""
    return operation.method == "GET" and all(
        spec.event_stream is None and not spec.has_figures for spec in operation.responses
    )


class ErrorResponses:
    """The error responses of all operations: one component for those with the same status, codes and headers."""

    def __init__(self) -> None:
        self.components: dict[str, Any] = {}
        self._names: dict[tuple[Any, ...], str] = {}

    def reference(self, operation: Operation, status: int, responses: list[ProblemResponse]) -> dict[str, Any]:
        """What stands for the error response of one status of *operation*."""
        problems = by_code(responses)
        headers = _headers(
            *(name for response in responses for name in response.headers), *(["Allow"] if status == 405 else [])
        )
        key = (status, *sorted(problems), *headers)
        if key not in self._names:
            self._names[key] = name = _response_name(operation, status, problems)
            self.components[name] = _error_response(status, problems, headers)
        return {"$ref": RESPONSE.format(name=self._names[key])}


def _response_name(operation: Operation, status: int, codes: Iterable[str]) -> str:
    names = ["".join(word.capitalize() for word in code.split("_")) for code in codes]
    if len(names) <= MOST_CODES_IN_A_NAME:
        return "Or".join(names)
    return f"{operation.operation_id[0].upper()}{operation.operation_id[1:]}{status}"


def _error_response(status: int, problems: dict[str, Problem], headers: dict[str, Any]) -> dict[str, Any]:
    """The error response of one status: one example, or one for each code."""
    content: dict[str, Any] = {"schema": reference(Problem.__name__)}
    if len(problems) == 1:
        (content["example"],) = problems.values()
    else:
        content["examples"] = {code: {"value": problem} for code, problem in problems.items()}
    return {
        "description": MEANING.get(status) or " ".join(PROBLEM_KINDS[code].meaning for code in problems),
        "headers": headers,
        "content": {MEDIA_TYPE: content},
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"schema": {"type": "string"}} | HEADERS[name] for name in ("X-Request-Id", *dict.fromkeys(names))}

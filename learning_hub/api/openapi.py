"""The OpenAPI 3.1 document, made of the operations' own declarations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

import msgspec

import learning_hub
from learning_hub.api.operations import JSON, JSON_LINES, Answer, Operation
from learning_hub.api.problems import MEDIA_TYPE, Problem, problem
from learning_hub.model.errors import FieldError

MEANING = {
    304: "What the ETag in If-None-Match names is still what there is.",
    400: "What was sent is wrong; `errors` lists every bad field.",
    401: "No key, or one that is unknown, expired or revoked.",
    403: "The key may not do this, or not for this Program.",
    404: "There is no such thing.",
    405: "The method is not for this address.",
    409: "It does not fit what is there.",
    413: "More was sent than is taken.",
    415: "The body is not JSON.",
    429: "Too many requests with this key.",
    503: "The database is away, or too much is waiting.",
}
EXAMPLE_CODE = {
    400: "invalid_fields",
    401: "not_authenticated",
    403: "program_not_allowed",
    404: "not_found",
    409: "conflict",
    413: "too_large",
    415: "not_json",
    429: "too_many_requests",
    503: "unavailable",
}
RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
REQUEST_ID = {"X-Request-Id": {"description": "Also in the hub's log.", "schema": {"type": "string"}}}
REFERENCE = "#/components/schemas/{name}"


def build_document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The whole document, as JSON values in a fixed order."""
    listed = [operation for operation in operations if operation.is_listed]
    schemas, components = msgspec.json.schema_components(list(_structs(listed)), ref_template=REFERENCE)
    by_struct = dict(zip(_structs(listed), map(_tidy, schemas), strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, by_struct)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Learning Hub",
            "version": learning_hub.__version__,
            "description": (
                "An event store between the systems where people learn and the systems that must know. "
                "Every path also answers with the prefix /api."
            ),
            "license": {"name": "Proprietary", "identifier": "LicenseRef-Proprietary"},
        },
        "servers": [{"url": "/"}],
        "security": [{"ApiKey": []}, {"Bearer": []}, {"Basic": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in listed)],
        "paths": paths,
        "components": {
            "schemas": {name: _tidy(schema) for name, schema in sorted(components.items())},
            "securitySchemes": {
                "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "Bearer": {"type": "http", "scheme": "bearer"},
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


def _structs(operations: Iterable[Operation]) -> Iterator[Any]:
    yield Problem
    seen: list[Any] = [Problem]
    for operation in operations:
        bodies = [operation.body, operation.query, *(answer.body for answer in operation.answers)]
        for struct in bodies:
            if struct is not None and struct not in seen:
                seen.append(struct)
                yield struct


def _operation(operation: Operation, by_struct: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": operation.operation_id, "summary": operation.summary}
    needs = f"Needs the scope {' or '.join(operation.scopes)}." if operation.scopes else ""
    if text := " ".join(part for part in (operation.description, needs) if part):
        described["description"] = text
    described["tags"] = [operation.tag]
    if operation.is_public:
        described["security"] = []
    if parameters := [
        *_path_parameters(operation),
        *_query_parameters(operation),
        *_header_parameters(operation),
    ]:
        described["parameters"] = parameters
    if operation.body is not None:
        content: dict[str, Any] = {"schema": by_struct[operation.body]}
        if operation.body_example is not None:
            content["example"] = operation.body_example
        described["requestBody"] = {
            "required": not operation.body_optional,
            "content": {JSON: content},
        }
        if operation.takes_lines:
            lines = {"type": "string", "description": "One item of the list a line."}
            described["requestBody"]["content"][JSON_LINES] = {"schema": lines}
    described["responses"] = _responses(operation, by_struct)
    return described


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)}", operation.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    (reference,), components = msgspec.json.schema_components([operation.query], ref_template=REFERENCE)
    schema = components[reference["$ref"].rpartition("/")[2]]
    parameters = []
    for name, declared in schema.get("properties", {}).items():
        given = _without_null(declared)
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", [])}
        if "description" in given:
            parameter["description"] = given.pop("description")
        parameters.append(parameter | {"schema": given})
    return parameters


def _without_null(declared: dict[str, Any]) -> dict[str, Any]:
    """A parameter is absent rather than null."""
    given = {key: value for key, value in declared.items() if not (key == "default" and value is None)}
    options = [option for option in given.pop("anyOf", []) if option.get("type") != "null"]
    for option in options:
        given = option | given
    if "enum" in given:
        given["enum"] = [value for value in given["enum"] if value is not None]
    return given


def _header_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": meaning,
            "schema": {"type": "string"},
        }
        for name, meaning in operation.headers.items()
    ]


def _responses(operation: Operation, by_struct: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    described = {str(answer.status): _answer(answer, by_struct) for answer in operation.answers}
    always: tuple[int, ...] = () if operation.is_public else (400, 401, 403, 405, 429, 503)
    for status in sorted({*operation.errors, *always}):
        described.setdefault(str(status), _problem(status, operation.path))
    return dict(sorted(described.items()))


def _answer(answer: Answer, by_struct: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    headers = REQUEST_ID | {
        name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in answer.headers.items()
    }
    described: dict[str, Any] = {"description": answer.meaning, "headers": headers}
    if answer.body is not None:
        content: dict[str, Any] = {"schema": by_struct[answer.body]}
        if answer.example is not None:
            content["example"] = answer.example
        described["content"] = {JSON: content}
    return described


def _problem(status: int, path: str) -> dict[str, Any]:
    described: dict[str, Any] = {"description": MEANING[status], "headers": dict(REQUEST_ID)}
    if status == 304:
        return described
    if status in (429, 503):
        described["headers"] |= RETRY_AFTER
    field_errors: Any = [FieldError("PublisherEventId", "is required")] if status == 400 else msgspec.UNSET
    example = problem(
        status, EXAMPLE_CODE.get(status, HTTPStatus(status).name.lower()), MEANING[status], path, field_errors
    )
    described["content"] = {
        MEDIA_TYPE: {
            "schema": {"$ref": REFERENCE.format(name="Problem")},
            "example": msgspec.to_builtins(example),
        }
    }
    return described


def _tidy(schema: Any) -> Any:
    """
    An object that may hold anything says so: some generators make an unusable one otherwise.

    A field whose name ends in Utc is a time: msgspec says so of those alone that must have an offset.
    """
    if isinstance(schema, dict):
        tidied = {key: _tidy(value) for key, value in schema.items()}
        if tidied.get("type") == "object" and "properties" not in tidied:
            tidied.setdefault("additionalProperties", True)
        for name, declared in schema.get("properties", {}).items():
            if name.endswith("Utc"):
                tidied["properties"][name] = _as_time(_tidy(declared))
        return tidied
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    return schema


def _as_time(declared: dict[str, Any]) -> dict[str, Any]:
    """The schema of a string, or of a string or null, as that of a time."""
    if declared.get("type") == "string":
        return declared | {"format": "date-time"}
    if "anyOf" in declared:
        return declared | {"anyOf": [_as_time(option) for option in declared["anyOf"]]}
    return declared

"""The OpenAPI 3.1 document, built from the declarations of the operations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

import learning_hub
from learning_hub.api.http.error_responses import error_responses
from learning_hub.api.http.operation import EVENT_STREAM, JSON, JSON_LINES, Operation, ResponseSpec
from learning_hub.api.http.path_ids import ID_FORMS, IdForm, ids_in
from learning_hub.api.http.problem_kinds import PROBLEM_KINDS
from learning_hub.api.http.problems import MEDIA_TYPE, Problem, ProblemResponse
from learning_hub.model.json_values import write_json

# 403 and 409 are described by their codes instead.
MEANING = {
    304: "The content is unchanged since the response whose ETag If-None-Match names.",
    400: "The request is wrong; `errors` lists every bad field.",
    401: "The request has no key, or a key that is unknown, expired or revoked.",
    404: "The object does not exist.",
    405: "The address does not support this method.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    429: "Too many requests with this key.",
    503: "The database is away, or too many requests are waiting.",
}
HEADERS: dict[str, dict[str, Any]] = {
    "Accept-Encoding": {"description": "The encodings accepted for a body."},
    "Allow": {"description": "The methods that the address supports."},
    "ETag": {"description": "Identifies this content, for If-None-Match."},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "How to send a key."},
    "X-Request-Id": {"description": "Also in the hub's log."},
}
REFERENCE = "#/components/schemas/{name}"


def build_document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The whole document, as JSON values in a fixed order."""
    listed = [operation for operation in operations if operation.is_listed]
    schemas, components = msgspec.json.schema_components(list(_structs(listed)), ref_template=REFERENCE)
    by_struct = dict(zip(_structs(listed), map(_tidy, schemas), strict=True))
    closed = _closed(listed)
    paths: dict[str, dict[str, Any]] = {}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, by_struct)
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
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in listed)],
        "paths": paths,
        "components": {
            "schemas": {name: _tidy(schema) | closed.get(name, {}) for name, schema in sorted(components.items())},
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
        bodies = [operation.body, operation.query, *(spec.body for spec in operation.responses)]
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
            described["requestBody"]["content"][JSON_LINES] = {
                "schema": {"type": "string", "description": "One item of the list a line."},
                "example": "".join(f"{write_json(item).decode()}\n" for item in operation.body_example),
            }
    described["responses"] = _responses(operation, by_struct)
    return described


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _schema_of(form), "example": form.example}
        for name, form in ((name, ID_FORMS[name]) for name in ids_in(operation.path))
    ]


def _schema_of(form: IdForm) -> dict[str, Any]:
    return {
        "type": "string",
        "pattern": form.pattern,
        "minLength": form.min_length,
        "maxLength": form.max_length,
    }


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
            "description": header.meaning,
            "schema": {"type": "string", "minLength": header.min_length, "maxLength": header.max_length},
        }
        for name, header in operation.headers.items()
    ]


def _responses(operation: Operation, by_struct: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    described = {str(spec.status): _response(operation, spec, by_struct) for spec in operation.responses}
    if _has_tag(operation):
        described["304"] = {"description": MEANING[304], "headers": _headers("ETag")}
    for status, responses in error_responses(operation).items():
        described[str(status)] = _error_response(status, responses)
    return dict(sorted(described.items()))


def _response(operation: Operation, spec: ResponseSpec, by_struct: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    headers = _headers("ETag") if _has_tag(operation) else _headers()
    headers |= {name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in spec.headers.items()}
    described: dict[str, Any] = {"description": spec.meaning, "headers": headers}
    if spec.is_often_empty:
        described["description"] += f" The body, if present, is a {spec.body.__name__}."
    elif spec.body is not None:
        content: dict[str, Any] = {"schema": by_struct[spec.body]}
        if spec.example is not None:
            content["example"] = spec.example
        described["content"] = {spec.media_type: content}
    if spec.event_stream is not None:
        described["content"][EVENT_STREAM] = {"schema": {"type": "string"}, "example": spec.event_stream}
    return described


def _has_tag(operation: Operation) -> bool:
    return operation.method == "GET" and all(spec.event_stream is None for spec in operation.responses)


def _error_response(status: int, responses: list[ProblemResponse]) -> dict[str, Any]:
    """The error response of one status: one example, or one for each code."""
    by_code = {response.problem.code: response.problem for response in responses}
    content: dict[str, Any] = {"schema": {"$ref": REFERENCE.format(name="Problem")}}
    if len(by_code) == 1:
        content["example"] = responses[0].problem
    else:
        content["examples"] = {code: {"value": problem} for code, problem in by_code.items()}
    names = [name for response in responses for name in response.headers] + (["Allow"] if status == 405 else [])
    return {
        "description": MEANING.get(status) or " ".join(PROBLEM_KINDS[code].meaning for code in by_code),
        "headers": _headers(*names),
        "content": {MEDIA_TYPE: content},
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"schema": {"type": "string"}} | HEADERS[name] for name in ("X-Request-Id", *dict.fromkeys(names))}


def _closed(operations: Iterable[Operation]) -> dict[str, Any]:
    """The objects within request bodies, by name, whose unknown fields are refused."""
    bodies = [operation.body for operation in operations if operation.body is not None]
    _, components = msgspec.json.schema_components(bodies, ref_template=REFERENCE)
    return {name: {"additionalProperties": False} for name, schema in components.items() if "properties" in schema}


def _tidy(schema: Any) -> Any:
    """
    The schema, with free-form objects declared as such, because some generators make unusable types otherwise.

    Every field whose name ends in Utc is declared as a time; msgspec does so only for times that must have an offset.
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

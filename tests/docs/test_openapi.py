"""The OpenAPI document is valid, complete, true, and the one that is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from learning_hub.api.app import operations
from learning_hub.api.openapi import build_document
from learning_hub.store.migrations import CHECKOUT

KEPT = CHECKOUT / "openapi" / "openapi.json"
# What every operation that needs a key can answer.
ALWAYS = {"400", "401", "403", "405", "429", "503"}

# The document itself needs none.
WITHOUT_EXAMPLE = {"GET /schema/openapi.json 200"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document as the code builds it, as others get it."""
    return dict(json.loads(json.dumps(build_document(operations()))))


def described(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    """The document is valid OpenAPI 3.1."""
    validate(document, cls=OpenAPIV31SpecValidator)


def test_the_document_is_the_kept_one(document: dict[str, Any]) -> None:
    """openapi/openapi.json is what the code builds; `make openapi` writes it."""
    if not KEPT.exists():
        pytest.skip("openapi/openapi.json was not written yet")
    assert document == json.loads(KEPT.read_text(encoding="utf-8")), "run: make openapi"


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    """Every operation has an id of its own, a summary, a tag, and answers that say what they mean."""
    ids = [operation["operationId"] for _, _, operation in described(document)]
    assert len(ids) == len(set(ids))
    for method, path, operation in described(document):
        assert re.fullmatch(r"[a-z][A-Za-z]+", operation["operationId"]), (method, path)
        assert operation["summary"], (method, path)
        assert operation["tags"], (method, path)
        assert any(status.startswith("2") for status in operation["responses"]), (method, path)
        for status, answer in operation["responses"].items():
            assert answer["description"], (method, path, status)
            assert "X-Request-Id" in answer["headers"], (method, path, status)


def test_every_operation_says_what_may_go_wrong(document: dict[str, Any]) -> None:
    """Every answer that an operation can give is there, problems as problems, with the headers they carry."""
    for method, path, operation in described(document):
        answers = operation["responses"]
        if operation.get("security") != []:
            assert set(answers) >= ALWAYS, (method, path)
        if "requestBody" in operation:
            assert set(answers) >= {"413", "415"}, (method, path)
        for status, answer in answers.items():
            if int(status) < 400:
                continue
            assert list(answer["content"]) == ["application/problem+json"], (method, path, status)
            assert ("Retry-After" in answer["headers"]) == (status in ("429", "503")), (method, path, status)
        if "201" in answers:
            assert "Location" in answers["201"]["headers"] or method == "PUT", (method, path)


def test_security(document: dict[str, Any]) -> None:
    """Three ways to send a key are declared for all, and only what needs no key says so."""
    schemes = document["components"]["securitySchemes"]
    assert {"apiKey", "http"} == {scheme["type"] for scheme in schemes.values()}
    assert [{name: []} for name in schemes] == document["security"]
    open_ones = {path for _, path, operation in described(document) if operation.get("security") == []}
    assert open_ones == {"/health/live", "/health/ready", "/schema/openapi.json"}


def test_paths_and_parameters(document: dict[str, Any]) -> None:
    """Every part of a path in braces is a parameter; no path has the prefix; no parameter is declared twice."""
    for method, path, operation in described(document):
        assert not path.startswith("/api"), path
        parameters = [(parameter["in"], parameter["name"]) for parameter in operation.get("parameters", [])]
        assert len(parameters) == len(set(parameters)), (method, path)
        in_path = {name for place, name in parameters if place == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path)), (method, path)


def examples(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
    for method, path, operation in described(document):
        contents = {"body": operation.get("requestBody", {}).get("content", {})}
        contents |= {status: answer.get("content", {}) for status, answer in operation["responses"].items()}
        for where, content in contents.items():
            for kind, media in content.items():
                if "example" in media:
                    yield f"{method} {path} {where} {kind}", media["schema"], media["example"]


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    """Every example is valid by its schema, and there is one wherever JSON is taken or given."""
    registry: Registry[Any] = Registry().with_resource("urn:hub", Resource(document, DRAFT202012))
    seen = 0
    for where, schema, example in examples(document):
        validator = jsonschema.Draft202012Validator(
            _anchored(schema), registry=registry, format_checker=jsonschema.FormatChecker()
        )
        faults = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(example)]
        assert not faults, (where, faults)
        seen += 1
    assert seen > 100


def test_there_are_examples(document: dict[str, Any]) -> None:
    """Wherever JSON is taken or given there is an example."""
    without = []
    for method, path, operation in described(document):
        contents = {"body": operation.get("requestBody", {}).get("content", {})}
        contents |= {status: answer.get("content", {}) for status, answer in operation["responses"].items()}
        without += [
            f"{method} {path} {where}"
            for where, content in contents.items()
            for kind, media in content.items()
            if kind.endswith("json") and not kind.endswith("ndjson") and "example" not in media
        ]
    assert set(without) <= WITHOUT_EXAMPLE


def _anchored(schema: Any) -> Any:
    """References of the document, made absolute for the validator's registry."""
    return json.loads(json.dumps(schema).replace('"#/', '"urn:hub#/'))


def test_objects_say_whether_they_are_open(document: dict[str, Any]) -> None:
    """An object without declared properties says that it may hold anything: some generators fail otherwise."""
    for place, schema in _schemas("", document):
        if schema.get("type") == "object" and "properties" not in schema:
            assert "additionalProperties" in schema, place


def test_times_are_declared(document: dict[str, Any]) -> None:
    """Every field whose name ends in Utc is declared as a time."""
    for name, schema in document["components"]["schemas"].items():
        for field, declared in schema.get("properties", {}).items():
            if field.endswith("Utc"):
                kinds = declared.get("anyOf", [declared])
                assert any(kind.get("format") == "date-time" for kind in kinds), (name, field)


def _schemas(place: str, node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if isinstance(node.get("type"), str) and "example" not in place:
            yield place, node
        for name, child in node.items():
            yield from _schemas(f"{place}/{name}", child)
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from _schemas(f"{place}/{number}", child)


def test_bounds_are_kept(document: dict[str, Any]) -> None:
    """Lower bounds of zero, defaults and lists of values are in the parameters of the feed."""
    parameters = {
        parameter["name"]: parameter["schema"] for parameter in document["paths"]["/events"]["get"]["parameters"]
    }

    assert (parameters["Wait"]["minimum"], parameters["Wait"]["maximum"], parameters["Wait"]["default"]) == (0, 30, 0)
    assert (parameters["Limit"]["minimum"], parameters["Limit"]["maximum"]) == (1, 1000)
    assert len(parameters["EventType"]["enum"]) == 8
    assert parameters["CreatedSince"]["format"] == "date-time"
    assert "application/x-ndjson" in document["paths"]["/events/batch"]["post"]["requestBody"]["content"]

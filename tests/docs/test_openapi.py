"""The OpenAPI document is valid, complete, true, and the one that is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import jsonschema
import msgspec
import pytest
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from learning_hub.api.app import operations
from learning_hub.api.http.error_responses import EXAMPLE_LIMIT_BYTES
from learning_hub.api.http.problem_kinds import PROBLEM_KINDS
from learning_hub.api.openapi.descriptions import COMPONENTS, FIELDS, IN_PLACES
from learning_hub.api.openapi.document import build_document, responses_of
from learning_hub.api.openapi.named_types import ENUMS, FIELD_SCHEMAS, UNIONS
from learning_hub.connectors.kinds import KINDS
from learning_hub.model.event import EventType
from learning_hub.settings import Settings
from learning_hub.store.migrations import CHECKOUT

KEPT = CHECKOUT / "openapi" / "openapi.json"
# What every operation can answer, and what one that needs a key can.
ALWAYS = {"400", "405"}
WITH_A_KEY = {"401", "403", "429", "503"}
CARRIED = {"401": "WWW-Authenticate", "405": "Allow", "429": "Retry-After", "503": "Retry-After"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document as the code builds it, as others get it."""
    return dict(json.loads(json.dumps(build_document(operations()))))


def described(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation, with the shared responses in the place of references to them."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation | {"responses": responses_of(document, operation)}


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    """The document is valid OpenAPI 3.1."""
    # Slow to import, and every process of a test run collects this module.
    from openapi_spec_validator import OpenAPIV31SpecValidator, validate

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
        assert set(answers) >= ALWAYS, (method, path)
        if operation.get("security") != []:
            assert set(answers) >= WITH_A_KEY, (method, path)
        # What is streamed has no ETag: it is not known as a whole when it begins.
        is_streamed = "text/event-stream" in answers.get("200", {}).get("content", {})
        # Nor is a thing unchanged of which a GET shows more than its tag stands for.
        has_figures = path in ("/keys/{KeyId}", "/subscribers/{SubscriberId}")
        assert ("304" in answers) == (method == "GET" and not is_streamed and not has_figures), (method, path)
        is_conditional = any(parameter["name"] == "If-Match" for parameter in operation.get("parameters", []))
        assert ("412" in answers) == is_conditional, (method, path)
        if "{" in path and method in ("PUT", "PATCH"):
            assert is_conditional, (method, path)
            assert all("ETag" in answer["headers"] for status, answer in answers.items() if int(status) < 300), path
        assert is_streamed == (path == "/runs/{RunId}/log"), (method, path)
        if "requestBody" in operation:
            assert set(answers) >= {"408", "413", "415"}, (method, path)
        for status, answer in answers.items():
            if int(status) < 400:
                continue
            assert list(answer["content"]) == ["application/problem+json"], (method, path, status)
            is_passing = status in ("429", "503") or "subscriber_away" in json.dumps(answer["content"])
            assert ("Retry-After" in answer["headers"]) == is_passing, (method, path, status)
            assert CARRIED.get(status, "X-Request-Id") in answer["headers"], (method, path, status)
        if "201" in answers:
            assert "Location" in answers["201"]["headers"] or method == "PUT", (method, path)


def test_three_ways_to_send_a_key_are_declared(document: dict[str, Any]) -> None:
    """Three ways to send a key are declared for all, and only what needs no key says so."""
    schemes = document["components"]["securitySchemes"]
    assert {"apiKey", "http"} == {scheme["type"] for scheme in schemes.values()}
    assert [{name: []} for name in schemes] == document["security"]
    open_ones = {path for _, path, operation in described(document) if operation.get("security") == []}
    assert open_ones == {"/health", "/health/live", "/health/ready", "/schema/openapi.json"}


def test_paths_and_parameters(document: dict[str, Any]) -> None:
    """Every part of a path in braces is a parameter; no path has the prefix; no parameter is declared twice."""
    for method, path, operation in described(document):
        assert not path.startswith("/api"), path
        parameters = [(parameter["in"], parameter["name"]) for parameter in operation.get("parameters", [])]
        assert len(parameters) == len(set(parameters)), (method, path)
        in_path = {name for place, name in parameters if place == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path)), (method, path)
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                schema, example = parameter["schema"], parameter["example"]
                assert re.search(schema["pattern"], example), (method, path)
                assert schema["minLength"] <= len(example) <= schema["maxLength"], (method, path)
    (key,) = (one for one in document["paths"]["/events"]["post"]["parameters"] if one["in"] == "header")
    assert (key["name"], key["schema"]["maxLength"]) == ("Idempotency-Key", 200)


def examples(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
    for method, path, operation in described(document):
        contents = {"body": operation.get("requestBody", {}).get("content", {})}
        contents |= {status: answer.get("content", {}) for status, answer in operation["responses"].items()}
        for where, content in contents.items():
            for kind, media in content.items():
                for example in [media["example"]] if "example" in media else shown_by_code(media):
                    yield f"{method} {path} {where} {kind}", media["schema"], example


def shown_by_code(media: dict[str, Any]) -> list[Any]:
    """The examples of a problem that has several, each under its code."""
    shown = {code: one["value"] for code, one in media.get("examples", {}).items()}
    assert list(shown) == [problem["code"] for problem in shown.values()]
    return list(shown.values())


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    """Every example is valid by its schema, and there is one wherever JSON is taken or given."""
    registry: Registry[Any] = Registry().with_resource("urn:hub", DRAFT202012.create_resource(document))
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
    """Wherever something is taken or given there is an example."""
    without = []
    for method, path, operation in described(document):
        contents = {"body": operation.get("requestBody", {}).get("content", {})}
        contents |= {status: answer.get("content", {}) for status, answer in operation["responses"].items()}
        without += [
            f"{method} {path} {where}"
            for where, content in contents.items()
            for media in content.values()
            if "example" not in media and not media.get("examples")
        ]
    assert without == []


def test_examples_of_problems_are_told_in_the_reference(document: dict[str, Any]) -> None:
    """The problem of every example has a code, with the status, that /schema explains under its type."""
    for where, schema, example in examples(document):
        if schema.get("$ref", "").endswith("/Problem"):
            assert PROBLEM_KINDS[example["code"]].status == example["status"], where
            assert example["type"] == f"/schema#{example['code']}", where
            assert "{" not in example["instance"], where


def test_bodies_take_no_other_fields(document: dict[str, Any]) -> None:
    """The objects of bodies say that they take no other fields; what may hold anything stays open."""
    schemas = document["components"]["schemas"]
    for name in ("NewEvent", "Category", "KeyBody", "ProgramBody", "SubscriptionBody", "ProcessBody"):
        assert schemas[name]["additionalProperties"] is False, name
    for alternative in schemas["SubscriberBody"]["oneOf"]:
        name = alternative["$ref"].rpartition("/")[2]
        assert schemas[name]["additionalProperties"] is False, name
    for name in ("Event", "Key", "Program", "Delivery", "Problem"):
        assert "additionalProperties" not in schemas[name], name
    assert schemas["NewEvent"]["properties"]["PublisherEventData"]["additionalProperties"] is True
    assert schemas["Template"]["additionalProperties"] is True


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
                assert declared.get("format") == "date-time", (name, field)


def _schemas(place: str, node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if isinstance(node.get("type"), str | list) and "example" not in place:
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
    assert parameters["EventType"] == {"$ref": "#/components/schemas/EventType"}
    assert document["components"]["schemas"]["EventType"]["enum"] == list(get_args(EventType))
    assert parameters["CreatedSince"]["format"] == "date-time"
    assert "application/x-ndjson" in document["paths"]["/events/batch"]["post"]["requestBody"]["content"]


def test_everything_has_a_description(document: dict[str, Any]) -> None:
    """Every tag, parameter, component and field has a description."""
    without = [tag["name"] for tag in document["tags"] if not tag.get("description")]
    for method, path, operation in described(document):
        without += [
            f"{method} {path} {parameter['name']}"
            for parameter in operation.get("parameters", [])
            if not parameter.get("description")
        ]
    for name, schema in document["components"]["schemas"].items():
        fields = {f"{name}.{field}": declared for field, declared in schema.get("properties", {}).items()}
        without += [place for place, declared in {name: schema, **fields}.items() if not declared.get("description")]

    assert without == []


def test_every_description_of_a_name_is_used(document: dict[str, Any]) -> None:
    """The tables of descriptions have no line for what the document does not have."""
    schemas = document["components"]["schemas"]
    fields = {f"{name}.{field}" for name, schema in schemas.items() for field in schema.get("properties", {})}
    fields |= {
        f"{parameter['in']}.{parameter['name']}"
        for _, _, operation in described(document)
        for parameter in operation.get("parameters", [])
    }

    assert set(IN_PLACES) | set(FIELD_SCHEMAS) <= fields
    assert set(FIELDS) <= {place.partition(".")[2] for place in fields}
    assert set(COMPONENTS) == set(ENUMS) | set(UNIONS)


def test_components_have_names_for_generators(document: dict[str, Any]) -> None:
    """Components are named in one word, differ in more than case, and each is referred to."""
    schemas = document["components"]["schemas"]
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", name) for name in schemas)
    assert len({name.lower() for name in schemas}) == len(schemas)
    assert not [name for name in schemas if name.endswith("Query")]

    text = json.dumps(document)
    for kind in ("schemas", "responses"):
        assert not [name for name in document["components"][kind] if f'"#/components/{kind}/{name}"' not in text]


def test_errors_are_shared_components(document: dict[str, Any]) -> None:
    """Every error response is a reference to a component."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                assert ("$ref" in answer) == (int(status) >= 400), (method, path, status)


def test_optional_fields_of_requests_have_no_null_default(document: dict[str, Any]) -> None:
    """No default is null: strict generators would make a field of it that must be given."""
    for place, schema in _schemas("", document):
        assert schema.get("default", ...) is not None, place


def test_lists_of_values_are_components(document: dict[str, Any]) -> None:
    """A field with a list of values refers to the component of the list, which has a type."""
    for name, schema in document["components"]["schemas"].items():
        for field, declared in schema.get("properties", {}).items():
            assert len(declared.get("enum", ())) <= 1, (name, field)
        if "enum" in schema:
            assert schema["type"] == "string", name


def test_patterns_are_portable(document: dict[str, Any]) -> None:
    """No regular expression looks ahead or behind, which Go and Rust cannot."""
    patterns = {schema["pattern"] for _, schema in _schemas("", document) if "pattern" in schema}
    assert patterns
    assert not [pattern for pattern in patterns if re.search(r"\(\?[=!<]", pattern)]


def test_a_subscriber_is_put_by_its_connector(document: dict[str, Any]) -> None:
    """The body of PUT /subscribers/{SubscriberId} is a union by Connector of what each kind takes."""
    schemas = document["components"]["schemas"]
    put = document["paths"]["/subscribers/{SubscriberId}"]["put"]["requestBody"]["content"]["application/json"]
    assert put["schema"] == {"$ref": "#/components/schemas/SubscriberBody"}

    union = schemas["SubscriberBody"]
    assert union["discriminator"]["propertyName"] == "Connector"
    assert set(union["discriminator"]["mapping"]) == set(KINDS)
    for connector, target in union["discriminator"]["mapping"].items():
        body = schemas[target.rpartition("/")[2]]
        assert body["properties"]["Connector"]["enum"] == [connector]
        settings = schemas[body["properties"]["Settings"]["$ref"].rpartition("/")[2]]
        assert set(settings["properties"]) == {
            field.encode_name for field in msgspec.structs.fields(KINDS[connector].settings)
        }


def test_the_answer_of_validate_only_has_a_schema(document: dict[str, Any]) -> None:
    """POST /events answers 200 with a ValidationResult, or with no body."""
    content = document["paths"]["/events"]["post"]["responses"]["200"]["content"]

    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/ValidationResult"}
    assert content["text/plain"]["schema"]["maxLength"] == 0


def test_the_limit_in_the_examples_is_the_default() -> None:
    """The examples of a body that is too large name the limit of a hub without settings."""
    assert Settings().max_body_bytes == EXAMPLE_LIMIT_BYTES

"""The problems in the OpenAPI document are those that the hub really answers, to the letter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from database_proxy import DatabaseProxy
from factories import an_event_body
from imis_hub import ImisHub
from running import RunningHub, running_hub

from learning_hub.api.app import operations
from learning_hub.api.event_batches import MAX_EVENTS
from learning_hub.api.event_examples import EXAMPLE_BODY
from learning_hub.api.http.error_responses import by_code, error_responses
from learning_hub.api.http.guards import NoQuery
from learning_hub.api.http.operation import Operation
from learning_hub.api.http.path_ids import ID_FORMS, example_path
from learning_hub.api.openapi.document import build_document, responses_of
from learning_hub.model.caller import SCOPES
from learning_hub.settings import Settings
from learning_hub.store.database import Database

EVERY = [operation for operation in operations() if operation.is_listed]
GUARDED = [operation for operation in EVERY if not operation.is_public]
DOCUMENT = build_document(EVERY)


def shown(operation: Operation | str, status: int) -> dict[str, dict[str, Any]]:
    """
    The problems that an operation declares for a status, by code.

    The document shows those of the first operation with these codes, as the response that all of them share.
    """
    if isinstance(operation, str):
        (operation,) = (one for one in EVERY if one.operation_id == operation)
    problems = by_code(error_responses(operation).get(status, []))
    return {code: msgspec.to_builtins(problem) for code, problem in problems.items()}


def with_status(among: list[Operation], status: int) -> Iterator[Operation]:
    for operation in among:
        if str(status) in responses_of(DOCUMENT, DOCUMENT["paths"][operation.path][operation.method.lower()]):
            yield operation


async def send(client: httpx.AsyncClient, operation: Operation, **changes: Any) -> httpx.Response:
    """A right request for the ids of the examples, but for what is changed."""
    request = {"method": operation.method, "url": example_path(operation.path), "json": operation.body_example}
    if "/participants" in operation.path:
        request["params"] = {"ProgramId": "NURSES"}
    if "content" in changes:
        del request["json"]
    return await client.request(**request | changes)


def as_shown(answer: httpx.Response, operation: Operation | str, **ids: str) -> bool:
    """Whether an answer is the problem that the document shows, where *ids* stand for those of the examples."""
    text = answer.text
    for name, value in ids.items():
        text = text.replace(value, ID_FORMS[name].example)
    problem = msgspec.json.decode(text)
    assert problem == shown(operation, answer.status_code)[problem["code"]], operation
    return True


@pytest.fixture
async def set_up_hub(hub_without_worker: RunningHub) -> RunningHub:
    """A hub with a Program, a subscriber and a subscription, each made of the example of its body."""
    for operation_id in ("putProgram", "putSubscriber", "putSubscription"):
        (operation,) = (one for one in EVERY if one.operation_id == operation_id)
        answer = await send(hub_without_worker.client, operation)
        assert answer.status_code == 201, answer.text
    return hub_without_worker


async def test_what_is_refused_before_anything_is_looked_at(hub_without_worker: RunningHub) -> None:
    """401, 405, 403 for a missing scope, and 404 are answered as shown, by every operation that shows them."""
    hub = hub_without_worker
    for operation in with_status(EVERY, 405):
        answer = await send(hub.client, operation, method="TRACE")
        assert (answer.status_code, as_shown(answer, operation)) == (405, True)
        assert operation.method in answer.headers["Allow"]
    for operation in with_status(GUARDED, 401):
        answer = await send(hub.client_with(None), operation)
        assert (answer.status_code, as_shown(answer, operation)) == (401, True)
    for operation in with_status(GUARDED, 403):
        others = [scope for scope in SCOPES if scope not in operation.scopes and scope != "admin"]
        if others:
            answer = await send(await hub.caller(*others), operation)
            assert (answer.status_code, as_shown(answer, operation)) == (403, True)
    for operation in with_status(EVERY, 404):
        answer = await send(hub.client, operation)
        assert (answer.status_code, as_shown(answer, operation)) == (404, True), answer.text


async def test_what_is_wrong_with_a_request(set_up_hub: RunningHub) -> None:
    """400, 413 and 415 are answered as shown, by every operation that shows them."""
    client = set_up_hub.client
    for operation in EVERY:
        if "{DeliveryId}" in operation.path and operation.body:
            continue  # looks for the delivery first: see below
        await refuse_requests(client, operation)


async def refuse_requests(client: httpx.AsyncClient, operation: Operation, **ids: str) -> None:
    changes: dict[str, Any] = {}
    if ids:
        changes["url"] = operation.path.format(**ids)
    (example,) = (one for one in shown(operation, 400).values() if one["code"] != "not_supported")
    bad = {error["field"] for error in example.get("errors", [])}
    wrong: dict[str, Any] = {"json": {}}
    if bad == {"Limit"}:
        wrong = {"params": {"Limit": "5000"}}
    elif bad == {"ProgramId"} and "/participants" in operation.path:
        wrong = {"params": {}}
    elif bad == {"Verbose"}:
        wrong = {"params": {"Verbose": "true"}}
    answer = await send(client, operation, **changes, **wrong)
    assert (answer.status_code, as_shown(answer, operation, **ids)) == (400, True), answer.text
    if operation.body is None:
        return
    much = b"[" + b",".join([b"{}"] * (MAX_EVENTS + 1)) + b"]" if operation.takes_lines else b" " * (1024 * 1024 + 1)
    answer = await send(client, operation, content=much, **changes)
    assert (answer.status_code, as_shown(answer, operation, **ids)) == (413, True), answer.text
    answer = await send(client, operation, content=b"{}", headers={"Content-Type": "text/plain"}, **changes)
    assert (answer.status_code, as_shown(answer, operation, **ids)) == (415, True), answer.text


def _component(reference: dict[str, str]) -> dict[str, Any]:
    component: dict[str, Any] = DOCUMENT["components"]["schemas"][reference["$ref"].rpartition("/")[2]]
    return component


async def test_unknown_fields_are_refused_as_declared(set_up_hub: RunningHub) -> None:
    """Every object of a body whose schema takes no other fields refuses them, and every body is such an object."""
    for operation in EVERY:
        if operation.body is None or "{DeliveryId}" in operation.path or "{KeyId}" in operation.path:
            continue  # looks for the thing first
        schema = DOCUMENT["paths"][operation.path][operation.method.lower()]["requestBody"]["content"]
        reference = next(iter(schema.values()))["schema"]
        whole = reference.get("items", reference)
        for declared in _component(whole).get("oneOf", [whole]):
            assert _component(declared)["additionalProperties"] is False
        body = operation.body_example
        more = [body[0] | {"Colour": 1}] if isinstance(body, list) else body | {"Colour": 1}
        answer = await send(set_up_hub.client, operation, json=more)
        problem = answer.json()["Results"][0]["Problem"] if isinstance(body, list) else answer.json()
        assert problem["errors"] == [{"field": "Colour", "message": "is not a known field"}], operation.operation_id


async def test_a_key_for_another_program(set_up_hub: RunningHub) -> None:
    """An operation shows that a key is not for the Program if, and only if, it answers so."""
    await set_up_hub.make_program("DOCTORS")
    client = await set_up_hub.caller(*(scope for scope in SCOPES if scope != "admin"), programs=["DOCTORS"])
    showing = set()
    for operation in GUARDED:
        names = {field.encode_name for field in msgspec.structs.fields(operation.query or NoQuery)}
        params = {"ProgramId": "NURSES"} if "ProgramId" in names else {}
        answer = await send(client, operation, params=params)
        refused = answer.status_code == 403 and answer.json()["code"] == "program_not_allowed"
        assert refused == ("program_not_allowed" in shown(operation, 403)), operation.operation_id
        if refused:
            assert as_shown(answer, operation)
            showing.add(operation.operation_id)
    assert {"publishEvent", "getEvent", "listEvents", "processEvents", "getDelivery", "getProgram"} <= showing


async def test_conflicts_of_events(set_up_hub: RunningHub) -> None:
    """409 of publishing and replacing is answered as shown."""
    client = set_up_hub.client
    key = {"Idempotency-Key": "1"}
    first = (await client.post("/events", json=EXAMPLE_BODY, headers=key)).headers["Location"]
    changed = EXAMPLE_BODY | {"EventEndUtc": None}

    reused = await client.post("/events", json=changed, headers=key)
    another = await client.put(first, json=an_event_body(PublisherEventId="another"))

    ids = {"EventId": first.removeprefix("/events/")}
    assert {answer.status_code for answer in (reused, another)} == {409}
    assert as_shown(reused, "publishEvent")
    assert as_shown(another, "replaceEvent", **ids)


async def test_conflicts_of_setting_up(set_up_hub: RunningHub) -> None:
    """409 of a subscriber and a subscription is answered as shown."""
    client, examples = set_up_hub.client, {one.operation_id: one.body_example for one in EVERY}
    await set_up_hub.make_program("DOCTORS")
    moved = await client.put("/subscriptions/completions", json=examples["putSubscription"] | {"ProgramId": "DOCTORS"})
    await set_up_hub.database.execute("UPDATE subscriber SET connector = 'webhook'")
    turned = await client.put("/subscribers/imis", json=examples["putSubscriber"])

    assert (moved.status_code, turned.status_code) == (409, 409)
    assert as_shown(moved, "putSubscription")
    assert as_shown(turned, "putSubscriber")


async def test_what_is_refused_of_deliveries(imis_hub: ImisHub) -> None:
    """Putting back and discarding a delivery is refused as shown."""
    await imis_hub.set_up()
    delivered = (await imis_hub.delivered(await imis_hub.publish()))["DeliveryId"]
    for operation_id in ("requeueDelivery", "discardDelivery"):
        (operation,) = (one for one in EVERY if one.operation_id == operation_id)
        await refuse_requests(imis_hub.client, operation, DeliveryId=delivered)
        answer = await send(imis_hub.client, operation, url=operation.path.format(DeliveryId=delivered))
        assert (answer.status_code, as_shown(answer, operation, DeliveryId=delivered)) == (409, True)


async def test_too_many_requests_as_shown(settings: Settings, database: Database) -> None:
    """429 is answered as shown."""
    limited = msgspec.structs.replace(settings, rate_limit=0.1)
    async with running_hub(limited, database, with_worker=False) as hub:
        for _ in range(5):
            answer = await hub.client.get("/programs")
        assert (answer.status_code, as_shown(answer, "listPrograms")) == (429, True)


async def test_a_database_that_is_away_as_shown(settings: Settings, database: Database) -> None:
    """503 is answered as shown."""
    proxy = DatabaseProxy(database.address)
    async with proxy.opened() as address:
        through = Database(address, max_connections=5, acquire_seconds=2)
        await through.open()
        async with running_hub(settings, through, with_worker=False) as hub:
            proxy.close()
            for path, operation_id in (("/programs", "listPrograms"), ("/health/ready", "getReadiness")):
                answer = await hub.client.get(path)
                assert (answer.status_code, as_shown(answer, operation_id)) == (503, True)
                assert answer.headers["Retry-After"]
        await through.close()


async def test_what_is_read_again_without_a_change(set_up_hub: RunningHub) -> None:
    """Every GET that can be answered without an id is 304 to its own ETag, and shows that."""
    for operation in EVERY:
        if operation.method != "GET" or "{" in operation.path or operation.path == "/metrics":
            continue
        responses = responses_of(DOCUMENT, DOCUMENT["paths"][operation.path]["get"])
        params = {"ProgramId": "NURSES"} if operation.path == "/events" else {}
        got = await set_up_hub.client.get(operation.path, params=params)
        again = await set_up_hub.client.get(
            operation.path, params=params, headers={"If-None-Match": f'"other", {got.headers["ETag"]}'}
        )
        assert (again.status_code, "304" in responses) == (304, True), operation.path


async def test_the_examples_of_texts(set_up_hub: RunningHub) -> None:
    """The examples of the metrics and of JSON Lines are what is given and taken."""
    metrics = DOCUMENT["paths"]["/metrics"]["get"]["responses"]["200"]["content"]["text/plain"]["example"]
    assert metrics in (await set_up_hub.client.get("/metrics")).text
    lines = DOCUMENT["paths"]["/events/batch"]["post"]["requestBody"]["content"]["application/x-ndjson"]["example"]
    answer = await set_up_hub.client.post(
        "/events/batch", content=lines, headers={"Content-Type": "application/x-ndjson"}
    )
    assert [result["Status"] for result in answer.json()["Results"]] == [201, 201]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("PublisherParticipantId=robin+vale@example.org", "PublisherParticipantId"),
        ("PublisherParticipantId=robin+vale%40example.org", "PublisherParticipantId"),
        ("CreatedSince=2026-11-20T14:00:00+02:00", "CreatedSince"),
        ("CreatedSince=2026-11-20T14:00:00.5+0200", "CreatedSince"),
    ],
)
async def test_a_plus_that_became_a_space_is_refused(hub_without_worker: RunningHub, query: str, field: str) -> None:
    """An address or a time with an unescaped plus sign is 400 and says how to write it, instead of an empty list."""
    await hub_without_worker.make_program("NURSES")

    answer = await hub_without_worker.client.get(f"/events?ProgramId=NURSES&{query}")

    assert answer.status_code == 400, answer.text
    assert {
        "field": field,
        "message": "has a + that is read as a space; write %2B for a plus sign, and %20 for a space",
    } in answer.json()["errors"]


@pytest.mark.parametrize(
    "query",
    [
        "PublisherParticipantId=robin%2Bvale@example.org", "PublisherParticipantId=Robin+Vale",
        "CreatedSince=2026-11-20T14:00:00%2B02:00", "PublisherEventId=AI+1",
        "PublisherParticipantId=+robin@example.org",
    ],
)  # fmt: skip
async def test_other_plus_signs_are_taken(hub_without_worker: RunningHub, query: str) -> None:
    """An escaped plus sign, and one that stands for a space, are taken."""
    await hub_without_worker.make_program("NURSES")

    answer = await hub_without_worker.client.get(f"/events?ProgramId=NURSES&{query}")

    assert answer.status_code == 200, answer.text

"""What holds for every operation of the API, whatever it does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from factories import a_subscriber_body, a_subscription_body
from running import RunningHub

from learning_hub.api.app import operations
from learning_hub.api.http.operation import Operation
from learning_hub.model.caller import SCOPES

EVERY = operations()
GUARDED = [operation for operation in EVERY if not operation.is_public]
PLACES = {
    "EventId": "E:NURSES-0192d4a8-6c1e-7f3a-9b52-3c0d8e5f7a61",
    "DeliveryId": "NURSES-0192d4a8-6c1e-7f3a-9b52-3c0d8e5f7a61",
}


def address(operation: Operation) -> str:
    path = operation.path
    for name, value in PLACES.items():
        path = path.replace(f"{{{name}}}", value)
    while "{" in path:
        start, end = path.index("{"), path.index("}")
        path = f"{path[:start]}NURSES{path[end + 1 :]}"
    return path


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_without_a_key_nothing_is_answered(hub_without_worker: RunningHub, prefix: str) -> None:
    """Every guarded operation answers 401 to no key and to an unknown one, whatever else is wrong."""
    hub = hub_without_worker
    for key in (None, "lh_unknown"):
        client = hub.client_with(key)
        for operation in GUARDED:
            answer = await client.request(
                operation.method,
                f"{prefix}{address(operation)}?nonsense=1",
                content=b"{",
                headers={"Content-Type": "x/y"},
            )
            assert answer.status_code == 401, (operation.operation_id, answer.text)
            assert answer.json()["code"] == "not_authenticated"
            assert answer.headers["WWW-Authenticate"]


async def test_a_missing_scope_is_told_before_the_body_is_judged(hub_without_worker: RunningHub) -> None:
    """Every operation answers 403 to a key that has all scopes but those it needs, whatever else is wrong."""
    hub = hub_without_worker
    await hub.make_program("NURSES")
    for operation in GUARDED:
        others = [scope for scope in SCOPES if scope not in operation.scopes and scope != "admin"]
        if not others or not operation.scopes:
            continue
        client = await hub.caller(*others, programs=["NURSES"])
        answer = await client.request(
            operation.method, f"{address(operation)}?nonsense=1", content=b"{", headers={"Content-Type": "x/y"}
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing"), operation.operation_id


async def test_unknown_query_parameters_are_refused(hub_without_worker: RunningHub) -> None:
    """No operation takes a query parameter it does not know."""
    for operation in EVERY:
        answer = await hub_without_worker.client.request(
            operation.method, f"{address(operation)}?nonsense=1", json={} if operation.body else None
        )
        assert answer.status_code == 400, (operation.operation_id, answer.text)
        assert [error["field"] for error in answer.json()["errors"]] == ["nonsense"]


async def test_a_body_that_would_not_be_read_is_refused(hub_without_worker: RunningHub) -> None:
    """Every operation without a body takes blanks and `{}`, and says of anything else that it takes none."""
    client = hub_without_worker.client
    long = b'{"State":"' + b"x" * 2000 + b'"}'
    for operation in EVERY:
        if operation.body is not None:
            continue
        for sent in (b'{"State":"parked"}', b"[]", b"null", b"\xff", long):
            answer = await client.request(operation.method, address(operation), content=sent)
            assert (answer.status_code, answer.json()["code"]) == (400, "body_not_taken"), operation.operation_id
        chunked = await client.request(operation.method, address(operation), content=_pieces(b'{"a"', b":1}"))
        assert chunked.status_code == 400, operation.operation_id
        for sent in (b"", b" \r\n", b"{}", b" { }\n"):
            answer = await client.request(operation.method, address(operation), content=sent)
            is_refused = answer.status_code == 400 and answer.json()["code"] == "body_not_taken"
            assert not is_refused, operation.operation_id
        compressed = await client.request(
            operation.method, address(operation), content=b"?", headers={"Content-Encoding": "gzip"}
        )
        assert compressed.status_code == 400, operation.operation_id


@pytest.mark.parametrize(
    "value",
    [
        r'{"a":"\ud800"}', r'{"\udfff":1}', r'"\u0000"', "1e999", "9" * 400, "[" * 150 + "]" * 150,
        '{"a":' * 150 + "1" + "}" * 150, r'[{"Event":{"a":["\ud800"]}}]', "-0", '"+"', "true",
    ],
)  # fmt: skip
async def test_no_field_of_any_body_gets_a_500(hub_without_worker: RunningHub, value: str) -> None:
    """Whatever each field of each body is, the answer is no 5xx: half pairs, NUL, huge numbers, deep nesting."""
    hub = hub_without_worker
    await hub.make_program("NURSES")
    await hub.client.put("/subscribers/NURSES", json=a_subscriber_body())
    await hub.client.put("/subscriptions/NURSES", json=a_subscription_body(SubscriberId="NURSES"))
    document = (await hub.client.get("/schema/openapi.json")).json()
    for operation in EVERY:
        if operation.body is None or operation.operation_id == "signIn":
            continue
        names = _property_names(document, document["paths"][operation.path][operation.method.lower()])
        for sent in [value, *(f'{{"{name}":{value}}}' for name in names)]:
            answer = await hub.client.request(operation.method, address(operation), content=sent.encode())
            assert answer.status_code < 500, (operation.operation_id, sent[:200], answer.text)


def _property_names(document: Any, operation: Any) -> list[str]:
    """The names of the fields of a body, and one that no body has."""
    names = {"Unknown"}
    pending = [media["schema"] for media in operation["requestBody"]["content"].values() if "schema" in media]
    while pending:
        schema = pending.pop()
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        names |= set(schema.get("properties", ()))
        pending += [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
    return sorted(names)


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_other_programs_stay_hidden(hub_without_worker: RunningHub) -> None:
    """A key for another Program gets nothing of this one from any operation: 403, 404 or an empty list."""
    hub = hub_without_worker
    await hub.make_program("NURSES")
    await hub.make_program("DOCTORS")
    scopes = [scope for scope in SCOPES if scope != "admin"]
    client = await hub.caller(*scopes, programs=["DOCTORS"])
    for operation in GUARDED:
        if "{" not in operation.path:
            continue
        answer = await client.request(operation.method, address(operation), json={} if operation.body else None)
        assert answer.status_code in (403, 404), (operation.operation_id, answer.status_code, answer.text)


def test_every_operation_says_what_it_answers() -> None:
    """Every operation is declared with an id of its own, a summary, a tag and at least one answer."""
    ids = [operation.operation_id for operation in EVERY]
    assert len(set(ids)) == len(ids)
    for operation in EVERY:
        assert operation.summary
        assert operation.tag
        assert operation.responses
        assert operation.is_public != bool(operation.scopes)

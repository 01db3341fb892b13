"""No input whatever gets a 500: bodies, queries, paths, headers and whole requests made up at random."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import schemathesis
from factories import an_event_body
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from plain_http import plain_client
from running import ADMIN_KEY, RunningHub
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

BODY = json.dumps(an_event_body()).encode()
NASTY = [
    b"\\u0000", b"\\ud800", b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"1e400", b"-0", b"9" * 400, b"1e-9999",
    b"1e99999999999999999999", b"[" * 200, b'{"a":' * 200, b"null", b"true", b"{}", b"[]", b'""', b'"', b",", b":",
    b"0001-01-01T00:00:00+23:59", b"9999-12-31T23:59:59.9999999-23:59", b"\\", b"\n", b"\t", b"/*", b"NaN", b"'",
]  # fmt: skip
TEXTS = st.text(max_size=20) | st.sampled_from(["\0", "\ud800", "a" * 300, "%00", "*", "NURSES", "..", "/"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
QUICK = hypothesis_settings(max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@st.composite
def damaged_bodies(draw: st.DrawFn) -> bytes:
    """A right body with something in it replaced by something nasty."""
    body = BODY
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.sampled_from([0, 0, 1, 2, 10, 40])))
        body = body[:start] + draw(st.sampled_from(NASTY) | st.binary(max_size=4)) + body[end:]
    return body


@st.composite
def wrong_bodies(draw: st.DrawFn) -> bytes:
    """A body whose fields have other values, well-formed as JSON."""
    names = st.sampled_from([*an_event_body(), "Extra"])
    return json.dumps(an_event_body() | draw(st.dictionaries(names, VALUES, max_size=4))).encode()


PARAMETERS = st.sampled_from(
    ["EventDateBucket", "ProgramId", "PublisherSystemId", "EventType", "Category", "PublisherParticipantId",
     "PublisherEventId", "CreatedSince", "Limit", "Cursor", "Wait", "ValidateOnly", "x"]
)  # fmt: skip
QUERY_VALUES = (
    st.binary(max_size=12).map(quote)
    | st.sampled_from(
        ["NURSES", "0", "1", "-1", "--1", "1e3", "true", "NURSES-LB-20261122", "%", "%zz", "\u00b2", "+", "&&=;#"]
    )
    | st.text(st.characters(codec="utf-8"), max_size=8).map(quote)
)


async def try_all(hub: RunningHub, attempt: Callable[[httpx.Client], None]) -> None:
    """Let *attempt* send its requests from a thread, beside the hub on this loop."""

    def run() -> None:
        headers = {"X-API-Key": ADMIN_KEY}
        with plain_client(hub.address, headers=headers) as client:
            attempt(client)

    await asyncio.to_thread(run)


def judge(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.text == "Invalid HTTP request received.":
        return  # no HTTP at all: the server refused it before the hub saw it
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
        assert all(error["message"] for error in answer.json().get("errors", []))


async def test_any_body_is_stored_or_refused_as_a_problem(hub_without_worker: RunningHub) -> None:
    """A body of any bytes is stored or refused as a problem; what is stored has data that were in the body."""
    await hub_without_worker.make_program()

    def attempt(client: httpx.Client) -> None:
        @QUICK
        @given(damaged_bodies() | wrong_bodies() | st.binary(max_size=80))
        def send(body: bytes) -> None:
            answer = client.post("/events", content=body)
            judge(answer)
            assert answer.status_code in (200, 201, 400, 413)
            if answer.status_code == 201:
                stored = client.get(answer.headers["Location"])
                judge(stored)
                assert stored.content.partition(b'"PublisherEventData":')[2].rpartition(b',"EventStartUtc"')[0] in body
            judge(client.post("/events?ValidateOnly=true", content=body))
            judge(client.post("/events/batch", content=b"[" + body + b"]"))
            judge(client.post("/events/batch", content=body, headers={"Content-Type": "application/x-ndjson"}))

        send()

    await try_all(hub_without_worker, attempt)


async def test_any_query_is_answered_or_refused_as_a_problem(hub_without_worker: RunningHub) -> None:
    """A query of any form is answered or refused as a problem."""
    await hub_without_worker.make_program()

    def attempt(client: httpx.Client) -> None:
        @QUICK
        @given(
            st.lists(st.tuples(PARAMETERS, QUERY_VALUES).map("=".join), max_size=4).map("&".join)
            | st.binary(max_size=20).map(quote)
        )
        def send(query: str) -> None:
            judge(client.get(f"/events?{query}".replace("Wait=1", "Wait=0")))
            judge(client.get(f"/api/events/NURSES?{query}".replace("Wait=1", "Wait=0")))

        send()

    await try_all(hub_without_worker, attempt)


async def test_any_path_and_header(hub_without_worker: RunningHub) -> None:
    """A path of any form, with any method and headers, is answered or refused as a problem."""
    pieces = st.sampled_from(["events", "api", "programs", "keys", "deliveries", "runs", "E:NURSES-", "..", "schema"])
    paths = st.lists(pieces | st.binary(max_size=6).map(lambda raw: quote(raw, safe="")), max_size=4).map("/".join)
    header_values = st.binary(max_size=20).map(lambda raw: raw.translate(None, b"\x00\r\n").strip(b" \t\x0b\x0c"))
    names = ["Content-Type", "If-None-Match", "X-Request-Id", "Idempotency-Key", "Accept", "Cookie", "Authorization"]

    def attempt(client: httpx.Client) -> None:
        @QUICK
        @given(
            st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]),
            paths,
            st.dictionaries(st.sampled_from(names), header_values, max_size=3),
        )
        def send(method: str, path: str, headers: dict[str, bytes]) -> None:
            raw = {name.encode(): value for name, value in headers.items()}
            try:
                answer = client.request(method, f"/{path.lstrip('/')}", headers=raw, content=b"{}")
            except httpx.LocalProtocolError:
                return  # no such header can be sent
            judge(answer)

        send()

    await try_all(hub_without_worker, attempt)


async def test_the_document_tells_the_truth(hub_without_worker: RunningHub) -> None:
    """Requests made from the OpenAPI document get answers that it declares, and never a 500."""
    await hub_without_worker.make_program()
    document = (await hub_without_worker.client.get("/schema/openapi.json")).json()
    # The others are asked by the tests of those who answer them; some of them reach out to subscribers.
    document["paths"] = {
        path: methods for path, methods in document["paths"].items() if path.startswith(("/events", "/health"))
    }
    document["paths"].pop("/events/{EventId}/deliveries")
    found = list(schemathesis.openapi.from_dict(document).get_all_operations())
    operations = [one.ok() for one in found if isinstance(one, Ok)]
    assert len(operations) == len(found)
    assert len(operations) >= 7

    def attempt(client: httpx.Client) -> None:
        for operation in operations:

            @hypothesis_settings(QUICK, max_examples=12)
            @given(case=operation.as_strategy())
            def call(case: schemathesis.Case[Any]) -> None:
                if case.query and "Wait" in case.query:
                    case.query["Wait"] = 0
                answer = case.call(base_url=hub_without_worker.address, headers={"X-API-Key": ADMIN_KEY})
                checks = [not_a_server_error, status_code_conformance]
                # A 200 of POST /events has a body with ValidateOnly alone.
                case.validate_response(
                    answer, checks=[*checks, response_schema_conformance] if answer.content else checks
                )

            call()

    await try_all(hub_without_worker, attempt)

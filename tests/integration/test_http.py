"""What every address has in common: keys, prefixes, methods, queries, errors, tags, limits, a database away."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import re
from typing import Any

import httpx
import msgspec
import pytest
from database_proxy import DatabaseProxy
from dirty_equals import IsPartialDict
from factories import an_event_body
from feed_visibility import reads_all
from running import RunningHub, eventually, running_hub

from learning_hub.model.api_key import _checksum
from learning_hub.settings import Settings
from learning_hub.store.database import Database

SOME_EVENT = "/events/E:NURSES-0192d4a8-6c1e-7f3a-9b52-3c0d8e5f7a61"


@pytest.fixture
async def nurses(hub_without_worker: RunningHub) -> RunningHub:
    """A hub with the Program NURSES."""
    await hub_without_worker.make_program()
    reads_all(hub_without_worker.client, hub_without_worker.database)
    return hub_without_worker


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    """Whether an answer is a problem of this kind with all that belongs to one."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    assert answer.headers["X-Request-Id"]
    problem = answer.json()
    assert {"type", "title", "status", "detail", "instance", "code"} <= set(problem), problem
    assert {type(problem[name]) for name in ("type", "title", "detail", "instance", "code")} == {str}
    assert problem["status"] == answer.status_code
    assert problem["instance"].startswith("/")
    return (answer.status_code, problem["code"]) == (status, code)


async def test_caches_keep_answers_apart(nurses: RunningHub) -> None:
    """What is answered to a key may be kept for it alone and is checked each time; what shows a secret is not kept."""
    client = nurses.client
    webhook = {"Name": "Hook", "Connector": "webhook", "Settings": {"Url": "https://hook.example.org/in"}}
    key = {"Name": "Reader", "Programs": ["NURSES"], "Scopes": ["read"]}
    kept = [
        await client.get("/programs/NURSES"),
        await client.get("/programs/NURSES", headers={"If-None-Match": "*"}),
        await client.get("/programs/NOBODY"),
        await client.post("/events", json=an_event_body()),
        await client.get("/nothing"),
        await nurses.client_with(None).get("/programs"),
        await nurses.client_with("unknown").get("/programs"),
    ]
    secret = [await client.post("/keys", json=key), await client.put("/subscribers/hook", json=webhook)]
    again = await client.put("/subscribers/hook", json=webhook)

    assert [answer.status_code for answer in kept] == [200, 304, 404, 201, 404, 401, 401]
    assert {answer.headers["Cache-Control"] for answer in [*kept, again]} == {"private, no-cache"}
    assert [(answer.status_code, answer.headers["Cache-Control"]) for answer in secret] == [(201, "no-store")] * 2
    assert {answer.headers["Vary"] for answer in [*kept, *secret]} == {"X-API-Key, Authorization, Cookie"}
    open_to_all = await nurses.client_with(None).get("/health/live")
    assert {answer.headers["X-Content-Type-Options"] for answer in [*kept, open_to_all]} == {"nosniff"}
    assert "Cache-Control" not in open_to_all.headers


async def test_pages_load_and_run_nothing_foreign(nurses: RunningHub) -> None:
    """Pages run no script, load only the stylesheets of the hub, send no address along, and are framed by nobody."""
    anybody = nurses.client_with(None)
    pages = [await anybody.get(path) for path in ("/", "/schema", "/api/schema")]

    assert {page.headers["Content-Security-Policy"] for page in pages} == {
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    }
    assert {page.headers["X-Frame-Options"] for page in pages} == {"DENY"}
    assert {page.headers["Referrer-Policy"] for page in pages} == {"no-referrer"}
    assert {page.headers["X-Content-Type-Options"] for page in pages} == {"nosniff"}
    loaded = {address for page in pages for address in re.findall(r"(?:src|<link[^>]* href)=\"([^\"]*)\"", page.text)}
    assert loaded == {"/schema/style.css"}
    assert not [page for page in pages if re.search(r"<style|<script|\s(?:style|on\w+)=", page.text)]
    style = await anybody.get("/schema/style.css")
    assert (style.status_code, style.headers["Content-Type"]) == (200, "text/css; charset=utf-8")


async def test_three_ways_to_send_a_key(nurses: RunningHub) -> None:
    """A key is taken as X-API-Key, as Bearer, and as the password of Basic with its id or any name."""
    key = await nurses.make_key("read", programs=["NURSES"])
    anybody = nurses.client_with(None)

    def basic(name: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"{name}:{key}".encode()).decode()}

    for headers in (
        {"X-API-Key": key},
        {"x-api-key": f"{key}"},
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"bearer  {key}"},
        basic(key.split("_")[1]),
        basic("LearningBuilder"),
        basic(""),
        {"X-API-Key": key, "Authorization": "Bearer nonsense"},
    ):
        assert (await anybody.get("/events", headers=headers)).status_code == 200, headers


async def test_one_answer_for_all_bad_keys(nurses: RunningHub) -> None:
    """No key, an unknown, expired or revoked one get the same 401, before path, query and body are looked at."""
    anybody = nurses.client_with(None)
    body = {"Name": "k", "Programs": ["NURSES"], "Scopes": ["publish", "read"]}
    expired = (await nurses.client.post("/keys", json=body | {"ExpiresUtc": "2999-12-31T00:00:00Z"})).json()
    await nurses.database.execute("UPDATE api_key SET expires_utc = now() WHERE expires_utc IS NOT NULL")
    revoked = (await nurses.client.post("/keys", json=body)).json()
    await anybody.get("/events", headers={"X-API-Key": revoked["Key"]})
    await nurses.client.delete(f"/keys/{revoked['KeyId']}")
    with_nul = "lh_a\0b_c"
    keys = [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": "nonsense"},
        {"X-API-Key": expired["Key"]},
        {"X-API-Key": revoked["Key"]},
        {"X-API-Key": revoked["Key"][:-1] + "0"},
        {"X-API-Key": b"\xff\xfe\xe9"},
        {"X-API-Key": "lh_" + "0" * 5000},
        {"Authorization": "Bearer"},
        {"Authorization": "Digest x"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()},
        {"Authorization": "Basic " + base64.b64encode(f"x:{with_nul}_{_checksum(with_nul)}".encode()).decode()},
    ]
    details = set()
    for headers in keys:
        for method, path in (
            ("GET", "/events"), ("GET", "/events?Nonsense=%ff"), ("POST", "/events"), ("PUT", SOME_EVENT),
            ("GET", "/nowhere"), ("PATCH", "/events"), ("OPTIONS", "/events"), ("GET", "/api/events/NURSES"),
        ):  # fmt: skip
            answer = await anybody.request(method, path, headers=headers, content=b"{" if method == "POST" else None)
            assert is_problem(answer, 401, "not_authenticated"), (headers, method, path, answer.text)
            assert "WWW-Authenticate" in answer.headers
            details.add(answer.json()["detail"])
    assert len(details) == 1


async def test_every_path_also_answers_below_api(nurses: RunningHub) -> None:
    """Every path also answers with /api before it, and Location is without it all the same."""
    posted = await nurses.client.post("/api/events", json=an_event_body())
    location = posted.headers["Location"]

    assert posted.status_code == 201
    assert location.startswith("/events/E:")
    assert (await nurses.client.get(f"/api{location}")).content == (await nurses.client.get(location)).content
    assert (await nurses.client.put(f"/api{location}", json=an_event_body())).headers["Location"] == location
    for path in ("/programs", "/health/ready", "/health/live", "/schema/openapi.json", "/keys", "/metrics"):
        assert (await nurses.client.get(f"/api{path}")).status_code == 200, path
    assert is_problem(await nurses.client.get("/api/nowhere"), 404, "not_found")
    assert is_problem(await nurses.client.get("/api/api/events"), 404, "not_found")
    assert is_problem(await nurses.client.get("/apievents"), 404, "not_found")
    assert (await nurses.client_with(None).get("/api/health/live")).status_code == 200


async def test_the_feed_of_a_program_as_in_the_original_hub(nurses: RunningHub) -> None:
    """GET /api/events/{ProgramId} is GET /events?ProgramId=…, and there is no such thing without the prefix."""
    await nurses.client.post("/events", json=an_event_body())
    expected = (await nurses.client.get("/events", params={"ProgramId": "NURSES"})).json()["Items"]
    got = await nurses.client.get("/api/events/NURSES", params={"EventType": "AI_COMP_SUCCESS", "Limit": 1})

    assert len(expected) == 1
    assert expected == got.json()["Items"]
    assert (await nurses.client.head("/api/events/NURSES")).status_code == 200
    assert (await nurses.client.get("/api/events/NURSES", params={"EventType": "AI_STARTED"})).json()["Items"] == []
    assert is_problem(await nurses.client.get("/api/events/NOBODY"), 400, "invalid_fields")
    assert is_problem(await nurses.client.get("/api/events/NURSES?ProgramId=NURSES"), 400, "invalid_fields")
    assert is_problem(await nurses.client.get("/events/NURSES"), 404, "not_found")
    assert "/events/{ProgramId}" not in (await nurses.client.get("/schema/openapi.json")).text
    await nurses.make_program("DOCTORS")
    doctors = await nurses.caller("read", programs=["DOCTORS"])
    assert is_problem(await doctors.get("/api/events/NURSES"), 403, "program_not_allowed")


async def test_slashes_too_many(nurses: RunningHub) -> None:
    """Slashes at the end or doubled change nothing: what needs no key needs none, and what needs one needs it."""
    await nurses.client.post("/events", json=an_event_body())
    anybody = nurses.client_with(None)
    for path in (
        "/schema/",
        "//schema",
        "/api/schema/",
        "/health/live/",
        "/schema//openapi.json",
        "/api//health/ready",
    ):
        assert (await anybody.get(f"{nurses.address}{path}")).status_code == 200, path
    for path in ("//events", "/events/", "/api/events/NURSES/", "//keys"):
        assert is_problem(await anybody.get(f"{nurses.address}{path}"), 401, "not_authenticated"), path
    expected = (await nurses.client.get("/events?ProgramId=NURSES")).json()["Items"]
    for path in ("/events/?ProgramId=NURSES", "/api/events/NURSES/", "/api//events//NURSES"):
        assert (await nurses.client.get(f"{nurses.address}{path}")).json()["Items"] == expected, path


async def test_problems_name_the_path_that_was_called(nurses: RunningHub) -> None:
    """The instance of a problem is the path as it was called, with its prefix."""
    for path in ("/nowhere", "/api/nowhere", "/nowhere/", "/api/events/NOBODY", "/api/keys/nobody", "/api"):
        answer = await nurses.client.request("POST" if path == "/api" else "GET", path)
        assert answer.json()["instance"] == path
    assert (await nurses.client_with(None).get("/api/keys")).json()["instance"] == "/api/keys"
    forecast = await nurses.client.post("/api/events?ValidateOnly=true", json={})
    assert forecast.json()["Problem"]["instance"] == "/api/events"
    batch = await nurses.client.post("/api/events/batch", json=[{}])
    assert batch.json()["Results"][0]["Problem"]["instance"] == "/api/events/batch"
    twice = await nurses.client.get(f"{nurses.address}//nowhere")
    assert twice.json()["instance"] == "/nowhere"


OPTIONS = {
    "/events": "GET, HEAD, OPTIONS, POST",
    "/api/events/": "GET, HEAD, OPTIONS, POST",
    SOME_EVENT: "DELETE, GET, HEAD, OPTIONS, PUT",
    "/events/batch": "OPTIONS, POST",
    "/keys": "GET, HEAD, OPTIONS, POST",
    "/programs/NURSES": "DELETE, GET, HEAD, OPTIONS, PATCH, PUT",
    "/health/live": "GET, HEAD, OPTIONS",
}


async def test_options_names_every_method_of_the_path(nurses: RunningHub) -> None:
    """OPTIONS is answered 204, and Allow names every method of the path, HEAD where there is GET."""
    for path, allowed in OPTIONS.items():
        answer = await nurses.client.options(path)
        assert (answer.status_code, answer.content, answer.headers["Allow"]) == (204, b"", allowed), path
    assert is_problem(await nurses.client.options("/nowhere"), 404, "not_found")


async def test_a_compressed_body_is_refused(nurses: RunningHub) -> None:
    """A body with a Content-Encoding is 415 that names it and says what to send; identity is none."""
    body = json.dumps(an_event_body()).encode()
    for encoding in ("gzip", "br", "identity, gzip", "x-" + "y" * 500):
        for path in ("/events", "/api/events/batch", "/events?ValidateOnly=true"):
            answer = await nurses.client.post(
                path,
                content=gzip.compress(body),
                headers={"Content-Encoding": encoding, "Content-Type": "application/json"},
            )
            assert is_problem(answer, 415, "encoding_not_taken")
            assert answer.json()["detail"].startswith(f"The body is declared with Content-Encoding: {encoding[:50]}")
            assert answer.json()["detail"].endswith("Send it uncompressed.")
            assert answer.headers["Accept-Encoding"] == "identity"
    for encoding in ("identity", "IDENTITY", ""):
        answer = await nurses.client.post("/events", content=body, headers={"Content-Encoding": encoding})
        assert answer.status_code in (200, 201), encoding


async def test_a_method_that_a_path_does_not_have_is_405(nurses: RunningHub) -> None:
    """A method that a path does not have is 405, and Allow names those that it has, sorted, also for OPTIONS."""
    for method, path, allowed in (
        ("PATCH", "/events", {"GET", "HEAD", "POST"}),
        ("DELETE", "/api/events", {"GET", "HEAD", "POST"}),
        ("POST", SOME_EVENT, {"GET", "HEAD", "PUT", "DELETE"}),
        ("GET", "/events/batch", {"POST"}),
        ("HEAD", "/events/batch", {"POST"}),
        ("PUT", "/health/ready", {"GET", "HEAD"}),
    ):
        answer = await nurses.client.request(method, path)
        assert answer.status_code == 405, (method, path)
        assert method == "HEAD" or is_problem(answer, 405, "method_not_allowed")
        assert answer.headers["Allow"] == ", ".join(sorted(allowed | {"OPTIONS"})), (method, path)
        assert (await nurses.client.options(path)).headers["Allow"] == answer.headers["Allow"]


async def test_head_answers_as_get_without_a_body(nurses: RunningHub) -> None:
    """HEAD answers as GET does, without a body."""
    location = (await nurses.client.post("/events", json=an_event_body())).headers["Location"]
    for path in (location, "/health/live", "/nowhere", "/events?Nonsense=1"):
        head, get = await nurses.client.head(path), await nurses.client.get(path)

        assert head.content == b""
        assert get.status_code == head.status_code
        for name in ("Content-Type", "Content-Length", "ETag"):
            assert head.headers.get(name) == get.headers.get(name), (path, name)


BAD_QUERIES = {
    "Nonsense=1": ["Nonsense"],
    "programid=NURSES": ["programid"],
    "ProgramId=": ["ProgramId"],
    "ProgramId=NURSES&ProgramId=NURSES": ["ProgramId"],
    "ProgramId=%ff": ["ProgramId"],
    "ProgramId=%00": ["ProgramId"],
    "%ff=1": ["\ufffd"],
    "ProgramId=NURSES&%ff=1&%ff=2": ["\ufffd"],
    "ProgramId=NURSES&Limit=0": ["Limit"],
    "ProgramId=NURSES&Limit=1001": ["Limit"],
    "ProgramId=NURSES&Limit=--5": ["Limit"],
    "ProgramId=NURSES&Limit=-": ["Limit"],
    "ProgramId=NURSES&Limit=%C2%B2": ["Limit"],
    "ProgramId=NURSES&Limit=1.0": ["Limit"],
    "ProgramId=NURSES&Limit=" + "9" * 5000: ["Limit"],
    "ProgramId=NURSES&Limit=": ["Limit"],
    "ProgramId=NURSES&Limit": ["Limit"],
    "ProgramId=NURSES&Cursor=": ["Cursor"],
    "ProgramId=NURSES&Cursor=nonsense": ["Cursor"],
    "ProgramId=NURSES&Cursor=%00": ["Cursor"],
    "ProgramId=NURSES&Wait=31": ["Wait"],
    "ProgramId=NURSES&Wait=-1": ["Wait"],
    "ProgramId=NURSES&EventType=AI": ["EventType"],
    "ProgramId=NURSES&Category=": ["Category"],
    "ProgramId=NURSES&CreatedSince=yesterday": ["CreatedSince"],
    "ProgramId=NURSES&CreatedSince=0001-01-01T00:00:00%2B01:00": ["CreatedSince"],
    "EventDateBucket=NURSES-LB-20261301": ["EventDateBucket"],
    "EventDateBucket=NURSES": ["EventDateBucket"],
    "ProgramId=DOCTORS&EventDateBucket=NURSES-LB-20261122": ["ProgramId"],
    "Limit=0&Wait=x&Nonsense=1": ["Limit", "Wait", "Nonsense"],
    "": ["ProgramId"],
}


async def test_every_bad_query_parameter_is_named(nurses: RunningHub) -> None:
    """A query parameter that is unknown, given twice, empty or of the wrong form is 400, all of them named."""
    for query, expected in BAD_QUERIES.items():
        answer = await nurses.client.get(f"/events?{query}")
        assert is_problem(answer, 400, "invalid_fields"), (query, answer.text)
        assert [error["field"] for error in answer.json()["errors"]] == expected, query
    for method, path in (("GET", SOME_EVENT), ("POST", "/events"), ("DELETE", SOME_EVENT), ("GET", "/health/live")):
        assert is_problem(await nurses.client.request(method, f"{path}?Nonsense=1"), 400, "invalid_fields"), path
    for word in ("maybe", "", "2", "truee"):
        assert is_problem(await nurses.client.post(f"/events?ValidateOnly={word}"), 400, "invalid_fields"), word


async def test_validate_only_stores_nothing(nurses: RunningHub) -> None:
    """With ValidateOnly the answer is 200 with what would happen, and nothing is stored, whatever the body."""
    await nurses.client.post("/events", json=an_event_body(PublisherEventId="there"))
    expected: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "new": (an_event_body(), {"Valid": True, "Problem": None, "WouldBe": "new"}),
        "same": (an_event_body(PublisherEventId="there"), {"Valid": True, "WouldBe": "same"}),
        "revision": (an_event_body(PublisherEventId="there", EventEndUtc=None), {"Valid": True, "WouldBe": "revision"}),
        "bad": (an_event_body(EventType="X"), {"Valid": False, "Problem": IsPartialDict(status=400)}),
    }
    for what, (body, forecast) in expected.items():
        answer = await nurses.client.post("/events?ValidateOnly=true", json=body)
        assert answer.status_code == 200, what
        assert answer.json() == IsPartialDict(**forecast), what
        assert "Subscriptions" in answer.json()
    assert len((await nurses.client.get("/events?ProgramId=NURSES")).json()["Items"]) == 1


async def test_a_valid_request_id_comes_back_and_any_other_is_replaced(nurses: RunningHub) -> None:
    """A sane X-Request-Id comes back, any other is replaced, on every kind of answer."""
    for path in ("/events?ProgramId=NURSES", "/nowhere", "/events?Nonsense=1", "/health/live"):
        sane = "0af7651916cd43dd8448eb211c80319c:a/b=@-_."
        assert (await nurses.client.get(path, headers={"X-Request-Id": sane})).headers.get_list("X-Request-Id") == [
            sane
        ]
        for other in ("", "a b", "x" * 129, "a\tb", "ä", 'a"b'):
            answer = await nurses.client.get(path, headers={b"X-Request-Id": other.encode()})
            (made,) = answer.headers.get_list("X-Request-Id")
            assert made
            assert made != other
    assert (await nurses.client_with(None).get("/events", headers={"X-Request-Id": "mine"})).headers[
        "X-Request-Id"
    ] == "mine"


async def test_an_etag_gives_304_until_the_object_changes(nurses: RunningHub) -> None:
    """What is read has an ETag; If-None-Match with it, in any form, is 304 without a body, until it changes."""
    location = (await nurses.client.post("/events", json=an_event_body())).headers["Location"]
    tag = (await nurses.client.get(location)).headers["ETag"]
    for sent in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = await nurses.client.get(location, headers={"If-None-Match": sent})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag), sent
    assert (await nurses.client.get(location, headers={"If-None-Match": '"other"'})).status_code == 200
    await nurses.client.delete(location)
    assert (await nurses.client.get(location, headers={"If-None-Match": tag})).status_code == 200


async def test_problems_name_their_path_safely(nurses: RunningHub) -> None:
    """The instance of a problem is a URI reference, whatever was called."""
    answer = await nurses.client.get("/nowhere/%00/%ff/ä b/%22")

    assert is_problem(answer, 404, "not_found")
    assert answer.json()["instance"] == "/nowhere/%00/%EF%BF%BD/%C3%A4%20b/%22"


async def test_a_limit_of_requests(nurses: RunningHub) -> None:
    """Past the limit for a key the answer is 429 with Retry-After; others are served, and so is it after that time."""
    limited = msgspec.structs.replace(nurses.settings, rate_limit=0.5)
    key_of_nurses = await nurses.make_key("read", programs=["NURSES"])
    async with running_hub(limited, nurses.database, with_worker=False) as hub:
        key = hub.client_with(key_of_nurses)
        answers = [await key.get("/events") for _ in range(12)]
        refused = [answer for answer in answers if answer.status_code == 429]

        assert answers[0].status_code == 200
        assert refused
        assert all(is_problem(answer, 429, "too_many_requests") for answer in refused)
        assert {answer.headers["Retry-After"] for answer in refused} <= {"1", "2"}
        assert (await hub.client.get("/events?ProgramId=NURSES")).status_code == 200
        assert (await hub.client_with(None).get("/health/live")).status_code == 200
        await asyncio.sleep(2.1)  # one in two seconds
        assert (await key.get("/events")).status_code == 200


async def test_a_database_that_is_away(settings: Settings, database: Database) -> None:
    """While the database is away every answer that needs it is 503 with Retry-After; once it is back, work goes on."""
    proxy = DatabaseProxy(database.address)
    async with proxy.opened() as address:
        through = Database(address, max_connections=5, acquire_seconds=2)
        await through.open()
        async with running_hub(settings, through, with_worker=False) as hub:
            await hub.make_program()
            publisher = await hub.caller("publish", "read", programs=["NURSES"])
            assert (await publisher.post("/events", json=an_event_body())).status_code == 201
            await asyncio.sleep(1)  # the hub remembers a key for less than that
            proxy.close()
            answers = await asyncio.gather(
                hub.client.post("/events", json=an_event_body()),
                hub.client.post("/events/batch", json=[an_event_body()]),
                hub.client.get("/events?ProgramId=NURSES"),
                hub.client.get(SOME_EVENT),
                hub.client.put(SOME_EVENT, json=an_event_body()),
                hub.client.delete(SOME_EVENT),
                hub.client.get("/programs"),
                publisher.get("/events"),
                publisher.get("/nowhere"),
                hub.client_with(None).get("/health/ready"),
            )
            for answer in answers:
                assert is_problem(answer, 503, "unavailable"), answer.text
                assert int(answer.headers["Retry-After"]) >= 1
            assert (await hub.client_with(None).get("/health/live")).status_code == 200
            assert is_problem(await hub.client_with(None).get("/events"), 401, "not_authenticated")
            proxy.open()
            again = await eventually(
                lambda: publisher.post("/events", json=an_event_body()), until=lambda answer: answer.status_code != 503
            )
            assert again.status_code == 200, again.text
            assert (await hub.client_with(None).get("/health/ready")).status_code == 200
        await through.close()

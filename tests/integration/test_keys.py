"""Keys over HTTP."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from dirty_equals import Contains, IsStr
from factories import an_event_body
from running import RunningHub, eventually, running_hub

from learning_hub.api.http.request import CONFIRM_AFTER_SECONDS
from learning_hub.model.api_key import new_key
from learning_hub.model.clock import now, written
from learning_hub.model.errors import NotAuthenticated
from learning_hub.services.authentication import REMEMBERED_SECONDS, Authenticator
from learning_hub.store import api_keys


async def test_a_key_is_shown_once(hub_without_worker: RunningHub) -> None:
    """Making a key answers with it; no later answer holds it."""
    hub = hub_without_worker
    await hub.make_program()
    body = {"Name": "LMS", "Programs": ["NURSES"], "Scopes": ["publish", "read"]}

    made = await hub.client.post("/keys", json=body)

    assert made.status_code == 201
    key = made.json()
    assert key == {
        "KeyId": IsStr(regex="[0-9A-Z]{26}"),
        "Key": IsStr(regex=r"lh_[0-9A-Z]{26}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}"),
        "ExpiresUtc": None,
        "CreatedUtc": IsStr(regex=".*Z"),
        **body,
    }
    assert made.headers["Location"] == f"/keys/{key['KeyId']}"
    shown = await hub.client.get(f"/keys/{key['KeyId']}")
    listed = await hub.client.get("/keys")
    assert {**body, "KeyId": key["KeyId"], "LastUsedUtc": None, "RevokedUtc": None}.items() <= shown.json().items()
    assert listed.json() == {"Items": [shown.json()], "NextCursor": None}
    assert key["Key"] not in shown.text + listed.text


async def test_a_key_opens_what_its_scopes_say(hub_without_worker: RunningHub) -> None:
    """A key without the scope gets 403 before its body is judged; sent in any of the three ways it is the same key."""
    hub = hub_without_worker
    await hub.make_program()
    key = await hub.make_key("read", programs=["NURSES"])

    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
        answer = await hub.client_with(None).get("/programs", headers=headers)
        assert answer.status_code == 200
    assert (await hub.client_with(None).get("/programs", auth=("anybody", key))).status_code == 200

    refused = await hub.client_with(key).post("/keys", content=b"no JSON")
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")


async def test_an_unknown_scope_is_told_with_those_there_are(hub_without_worker: RunningHub) -> None:
    """Every unknown scope is named by its place with the valid ones, together with all else that is wrong."""
    hub = hub_without_worker
    body = {
        "Programs": ["NOBODY", "NOBODY"],
        "Scopes": ["read", "write", "Admin"],
        "ExpiresUtc": "2020-01-01T00:00:00Z",
    }

    answer = await hub.client.post("/keys", json=body)

    choice = "must be one of publish, read, process, staff, admin"
    assert answer.status_code == 400
    assert [(error["field"], error["message"]) for error in answer.json()["errors"]] == [
        ("Name", "is required"),
        ("Scopes[1]", choice),
        ("Scopes[2]", choice),
        ("Programs[0]", "is not a known Program"),
        ("Programs[1]", "is not a known Program"),
        ("ExpiresUtc", "must be in the future"),
    ]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_without_a_key_nothing_is_told(hub_without_worker: RunningHub, method: str) -> None:
    """No key, rubbish and a key with a wrong end are all answered with the same 401."""
    hub = hub_without_worker
    good = await hub.make_key("read")
    answers = [
        await hub.client_with(key).request(method, path, content=b"{")
        for key in (None, "rubbish", good[:-1] + ("0" if good[-1] != "0" else "1"))
        for path in ("/keys", "/nowhere")
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert len({(answer.json()["code"], answer.json()["detail"]) for answer in answers}) == 1


async def test_a_revoked_key_opens_nothing_at_once(hub_without_worker: RunningHub) -> None:
    """The very next request with a revoked key is refused; revoking it again changes nothing."""
    hub = hub_without_worker
    made = (await hub.client.post("/keys", json={"Name": "k", "Programs": ["*"], "Scopes": ["read"]})).json()
    client = hub.client_with(made["Key"])
    assert (await client.get("/programs")).status_code == 200

    revoked = [await hub.client.delete(f"/keys/{made['KeyId']}") for _ in range(2)]

    assert [answer.status_code for answer in revoked] == [204, 204]
    assert (await client.get("/programs")).status_code == 401
    shown = (await hub.client.get(f"/keys/{made['KeyId']}")).json()
    assert shown["RevokedUtc"] is not None
    entries = (await hub.client.get("/audit", params={"ObjectId": made["KeyId"]})).json()["Items"]
    assert [entry["Action"] for entry in entries] == ["revoke", "create"]


async def test_another_process_hears_of_a_revocation_within_a_second(hub_without_worker: RunningHub) -> None:
    """A hub that remembers a key forgets it by itself after another one revoked it; its memory lasts under a second."""
    assert REMEMBERED_SECONDS < 1
    hub = hub_without_worker
    made = (await hub.client.post("/keys", json={"Name": "k", "Programs": ["*"], "Scopes": ["read"]})).json()
    async with running_hub(hub.settings, hub.database, with_worker=False) as other:
        client = other.client_with(made["Key"])
        assert (await client.get("/programs")).status_code == 200
        await hub.client.delete(f"/keys/{made['KeyId']}")

        async def status() -> int:
            return (await client.get("/programs")).status_code

        assert await eventually(status, until=lambda found: found == 401) == 401


async def test_a_remembered_key_is_looked_up_again_after_a_second(
    hub_without_worker: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that another process revoked opens as long as it is remembered, and nothing when a second is over."""
    moment = 1000.0
    moved = SimpleNamespace(monotonic=lambda: moment)
    monkeypatch.setattr("learning_hub.services.authentication.time", moved)
    hub = hub_without_worker
    made = (await hub.client.post("/keys", json={"Name": "k", "Programs": ["*"], "Scopes": ["read"]})).json()
    elsewhere = Authenticator(hub.database, None)
    assert (await elsewhere.identify(made["Key"])).key_id == made["KeyId"]
    await hub.client.delete(f"/keys/{made['KeyId']}")

    moment += REMEMBERED_SECONDS / 2
    assert (await elsewhere.identify(made["Key"])).key_id == made["KeyId"]
    moment = 1001.0
    with pytest.raises(NotAuthenticated):
        await elsewhere.identify(made["Key"])


async def test_requests_that_come_at_once_share_a_look_up(
    hub_without_worker: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred requests of a key cost one query; those that come after a revocation do not join one from before."""
    hub = hub_without_worker
    made = (await hub.client.post("/keys", json={"Name": "k", "Programs": ["*"], "Scopes": ["read"]})).json()
    began = 0
    may_end = asyncio.Event()

    async def find(*arguments: Any) -> Any:
        nonlocal began
        began += 1
        found = await find_with_hash(*arguments)
        await may_end.wait()
        return found

    find_with_hash = api_keys.find_with_hash
    monkeypatch.setattr(api_keys, "find_with_hash", find)
    elsewhere = Authenticator(hub.database, None)
    early = [asyncio.create_task(elsewhere.identify(made["Key"])) for _ in range(100)]
    await eventually(lambda: asyncio.sleep(0, began))
    assert began == 1
    await hub.client.delete(f"/keys/{made['KeyId']}")
    elsewhere.forget(made["KeyId"])
    late = asyncio.create_task(elsewhere.identify(made["Key"]))
    await asyncio.sleep(0)
    may_end.set()

    assert {(await one).key_id for one in early} == {made["KeyId"]}
    for _ in range(2):
        with pytest.raises(NotAuthenticated):
            await late
        late = asyncio.create_task(elsewhere.identify(made["Key"]))
    with pytest.raises(NotAuthenticated):
        await late


async def test_a_revoked_key_gets_nothing_more_from_a_request_that_waits(hub_without_worker: RunningHub) -> None:
    """A reader that waits for events when its key is revoked is refused, and does not get what comes afterwards."""
    hub = hub_without_worker
    await hub.make_program()
    made = (await hub.client.post("/keys", json={"Name": "k", "Programs": ["NURSES"], "Scopes": ["read"]})).json()
    reader = hub.client_with(made["Key"])
    assert (await reader.get("/events")).json()["Items"] == []
    waiting = asyncio.create_task(reader.get("/events", params={"Wait": "30"}))
    await hub.readers_wait()

    await hub.client.delete(f"/keys/{made['KeyId']}")
    await hub.client.post("/events", json=an_event_body())

    assert (await waiting).status_code == 401


@pytest.mark.parametrize(("path", "body"), [("/events", an_event_body()), ("/events/batch", [an_event_body()])])
async def test_a_revoked_key_publishes_nothing_with_a_body_that_comes_late(
    hub_without_worker: RunningHub, path: str, body: Any
) -> None:
    """A publisher whose key is revoked while its body is on the way is refused, and nothing is stored."""
    hub = hub_without_worker
    await hub.make_program()
    made = (await hub.client.post("/keys", json={"Name": "k", "Programs": ["NURSES"], "Scopes": ["publish"]})).json()
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: hub\r\nX-API-Key: {made['Key']}\r\nContent-Length: {len(content)}\r\n"
    where = urlsplit(hub.address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    # The hub asks for the rest once it has looked at the key.
    writer.write(f"{head}Expect: 100-continue\r\n\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")

    await hub.client.delete(f"/keys/{made['KeyId']}")
    await asyncio.sleep(CONFIRM_AFTER_SECONDS)
    writer.write(content)

    assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
    writer.close()
    await writer.wait_closed()
    assert await hub.database.fetchval("SELECT count(*) FROM event") == 0


async def test_a_key_may_be_good_until_the_end_of_the_calendar(hub_without_worker: RunningHub) -> None:
    """.NET's last instant, which stands for never, is taken, shown in UTC, and opens what it should."""
    never = {"Name": "k", "Programs": ["*"], "Scopes": ["read"], "ExpiresUtc": "9999-12-31T23:59:59.9999999Z"}

    made = (await hub_without_worker.client.post("/keys", json=never)).json()

    assert made["ExpiresUtc"] == "9999-12-31T23:59:59.999999Z"
    assert (await hub_without_worker.client_with(made["Key"]).get("/programs")).status_code == 200


async def test_an_expired_key_opens_nothing(hub_without_worker: RunningHub) -> None:
    """A key is refused from its ExpiresUtc on, whether or not it is remembered."""
    hub = hub_without_worker
    end = now() + timedelta(days=1)
    body = {"Name": "k", "Programs": ["*"], "Scopes": ["read"], "ExpiresUtc": written(end)}
    key = (await hub.client.post("/keys", json=body)).json()["Key"]
    assert (await hub.client_with(key).get("/programs")).status_code == 200

    remembers = Authenticator(hub.database, None)
    with time_machine.travel(end - timedelta(microseconds=1), tick=False):
        await remembers.identify(key)
    for authenticator in (remembers, Authenticator(hub.database, None)):
        with time_machine.travel(end, tick=False), pytest.raises(NotAuthenticated):
            await authenticator.identify(key)
    await hub.database.execute("UPDATE api_key SET expires_utc = now()")

    async def status() -> int:
        return (await hub.client_with(key).get("/programs")).status_code

    assert await eventually(status, until=lambda found: found == 401) == 401


async def test_every_bad_field_of_a_key_is_named(hub_without_worker: RunningHub) -> None:
    """Unknown fields and Programs, admin for some Programs, and an expiry in the past are reported together."""
    hub = hub_without_worker
    await hub.make_program()
    body = {
        "Name": "",
        "Programs": ["NURSES", "NOBODY"],
        "Scopes": ["admin"],
        "ExpiresUtc": "2020-01-01T00:00:00Z",
        "Colour": "red",
    }

    shape = await hub.client.post("/keys", json=body)
    meaning = await hub.client.post("/keys", json={**{k: v for k, v in body.items() if k != "Colour"}, "Name": "k"})

    wrong = {"Programs[1]", "Scopes", "ExpiresUtc"}
    assert {error["field"] for error in shape.json()["errors"]} == {"Name", "Colour"} | wrong
    assert meaning.status_code == 400
    assert {error["field"] for error in meaning.json()["errors"]} == wrong


async def test_one_bad_item_of_a_list_hides_no_other(hub_without_worker: RunningHub) -> None:
    """Programs and scopes beside one that is no text are judged as well."""
    body = {"Name": "k", "Programs": ["NOBODY", 5, "\0"], "Scopes": ["reed", None]}
    answer = await hub_without_worker.client.post("/keys", json=body)
    fields = sorted(error["field"] for error in answer.json()["errors"])
    assert fields == ["Programs[0]", "Programs[1]", "Programs[2]", "Scopes[0]", "Scopes[1]"]


async def test_use_of_a_key_is_noted(hub_without_worker: RunningHub) -> None:
    """The list says when a key was last used."""
    hub = hub_without_worker
    made = (await hub.client.post("/keys", json={"Name": "k", "Programs": ["*"], "Scopes": ["read"]})).json()
    await hub.client_with(made["Key"]).get("/programs")

    async def last_use() -> object:
        return (await hub.client.get(f"/keys/{made['KeyId']}")).json()["LastUsedUtc"]

    assert await eventually(last_use)


@pytest.mark.parametrize("key_id", ["nothing", "%00", "a%20b", "%F0%9F%92%A9"])
async def test_there_is_no_such_key(hub_without_worker: RunningHub, key_id: str) -> None:
    """An id that is none is answered with 404, whatever it is made of."""
    hub = hub_without_worker
    assert (await hub.client.get(f"/keys/{key_id}")).status_code == 404
    assert (await hub.client.delete(f"/keys/{key_id}")).status_code == 404


async def test_a_list_of_keys_goes_on_with_its_cursor(hub_without_worker: RunningHub) -> None:
    """Following NextCursor gives every key once; a cursor that the hub never gave out is refused."""
    hub = hub_without_worker
    for _ in range(5):
        await hub.make_key("read")
    seen: list[str] = []
    cursor = None
    while True:
        page = (await hub.client.get("/keys", params={"Limit": 2} | ({"Cursor": cursor} if cursor else {}))).json()
        seen += [item["KeyId"] for item in page["Items"]]
        cursor = page["NextCursor"]
        if cursor is None:
            break

    assert len(seen) == len(set(seen)) == 5
    for bad in ("?", "AA", "AAAA"):
        refused = await hub.client.get("/keys", params={"Cursor": bad})
        assert (refused.status_code, refused.json()["errors"]) == (
            400,
            Contains({"field": "Cursor", "message": IsStr()}),
        )


async def test_guessing_is_slowed_down(hub_without_worker: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    After a hundred unknown keys from an address further unknown ones are 429, and are held back; good keys go on.

    Requests without a key and revoked or expired keys do not count.
    """
    hub = hub_without_worker
    await hub.make_program()
    body = {"Name": "k", "Programs": ["NURSES"], "Scopes": ["read"]}
    made = [(await hub.client.post("/keys", json=body)).json() for _ in range(3)]
    good, revoked, expired = (one["Key"] for one in made)
    await hub.client.delete(f"/keys/{made[1]['KeyId']}")
    await hub.database.execute("UPDATE api_key SET expires_utc = now() WHERE key_id = $1", made[2]["KeyId"])

    async def status(key: str | None) -> int:
        headers = {} if key is None else {"X-API-Key": key}
        return (await anybody.get("/programs", headers=headers)).status_code

    anybody = hub.client_with(None)
    assert {await status(key) for key in [None, revoked, expired] * 40} == {401}
    wrong_secret = new_key(made[0]["KeyId"])
    assert {await status(key) for key in [*(f"guess-{n}" for n in range(99)), wrong_secret]} == {401}
    monkeypatch.setattr("learning_hub.services.authentication.GUESS_SECONDS", 0.5)
    guess = asyncio.create_task(anybody.get("/programs", headers={"X-API-Key": "guess-100"}))
    assert await status(good) == 200
    assert not guess.done()
    refused = await guess
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_unknown_keys")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert [await status(key) for key in (wrong_secret, good, None, revoked, expired)] == [429, 200, 401, 401, 401]

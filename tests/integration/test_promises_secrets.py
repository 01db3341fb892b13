"""What iMIS says, however hostile, and what may never be read anywhere: credentials and people."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from factories import an_event_body
from imis_hub import ImisHub
from msgspec.structs import replace
from running import RunningHub, eventually, served

from learning_hub.settings import Settings

# What stands in each of them in every spelling, so that nothing escapes by being spelled otherwise.
CORE = "hunter2"
PASSWORDS = ("hunter2-very-secret", 'hunter2-pä"ss\\w/ö%rd &+ 1')
PERSON = "robin.vale@example.org"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """One more try after a failed one, soon."""
    return replace(settings, retry_seconds=(0.1,), settle_seconds=0.1)


@pytest.mark.parametrize(
    "body",
    [
        b"Down\x00 for \xff\xfe maintenance",
        b'{"Message": "nul \\u0000 inside"}',
        b'{"Message": "half a pair \\ud800"}',
        b'{"Errors": {"$values": [{"Message": "x\\u0000", "FieldName": "\\u0000"}]}}',
        b"[" * 5000,
    ],
)
async def test_whatever_the_subscriber_says_is_kept(hub: RunningHub, body: bytes) -> None:
    """An answer of any bytes ends the attempt and is reported as a sentence; it never keeps a delivery open."""
    async with _subscriber(400, body) as address:
        event = await _deliver_to(hub, address)
        found = await eventually(lambda: _deliveries(hub, event), until=_has_ended)
        subscriber = (await hub.client.get("/subscribers/imis")).json()
    assert found[0]["Code"] == "refused" or subscriber["Paused"]["Code"] == "credentials_refused"
    assert "\0" not in found[0]["Message"]


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything that is logged, as with LEARNING_HUB_LOG_LEVEL=debug."""
    names = ("", "httpx", "httpcore", "asyncio", "uvicorn", "litestar", "asyncpg")
    before = {name: logging.getLogger(name).level for name in names}
    logging.getLogger("").setLevel(logging.DEBUG)
    caplog.handler.setLevel(logging.DEBUG)
    yield caplog
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def _spellings(secret: str) -> set[str]:
    """As it may stand in a text: plain, and in JSON with and without Unicode."""
    return {secret, *(json.dumps(secret, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))}


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, {"error": "invalid_grant", "error_description": f"wrong: PASSWORD for {PERSON}"}),
        (500, f"crash: password=PASSWORD of {PERSON}"),
    ],
    ids=["refused", "crashed"],
)
async def test_secrets_and_people_stay_where_they_belong(
    hub: RunningHub, heard: pytest.LogCaptureFixture, status: int, said: Any, password: str
) -> None:
    """A site that repeats the password in its error finds it nowhere: answers, attempts, audit, logs, database."""
    repeated = json.dumps(said).replace("PASSWORD", json.dumps(password)[1:-1])
    async with _subscriber(status, repeated.encode()) as address:
        event = await _deliver_to(hub, address, password)
        await eventually(lambda: _deliveries(hub, event), until=_has_ended)
        check = await hub.client.post("/subscribers/imis/check")
        (delivery,) = await _deliveries(hub, event)
    paths = ("/subscribers", "/subscribers/imis", "/audit", "/deliveries", f"/deliveries/{delivery['DeliveryId']}")
    answers = [check.text] + [(await hub.client.get(path)).text for path in paths]
    async with hub.database.connection() as connection:
        for table in ("subscriber", "delivery", "attempt", "audit", "run"):
            rows = await connection.fetch(f"SELECT to_json(t)::text FROM {table} AS t")
            answers += [row[0] for row in rows]
    spoken = "\n".join(record.getMessage() + str(record.__dict__) for record in heard.records)

    # What came back was reported, without the password.
    assert "***" in check.text
    assert "***" in delivery["Message"]
    for text in [*answers, spoken]:
        assert not [spelling for spelling in _spellings(password) if spelling in text]
        assert CORE not in text
    assert PERSON not in spoken


async def test_logs_of_deliveries_name_nobody(imis_hub: ImisHub, heard: pytest.LogCaptureFixture) -> None:
    """Publishing, looking a person up and delivering leaves neither address nor data nor token in the log."""
    await imis_hub.set_up()
    await imis_hub.delivered(await imis_hub.publish())

    spoken = "\n".join(record.getMessage() + str(record.__dict__) for record in heard.records)
    assert "delivery_settled" in spoken
    for private in ("robin.vale", "Fire safety", "Bearer", "access_token"):
        assert private not in spoken


async def _deliver_to(hub: RunningHub, address: str, password: str = PASSWORDS[0]) -> str:
    await hub.make_program()
    subscriber: dict[str, Any] = {
        "Name": "iMIS",
        "Connector": "imis",
        "Settings": {"BaseUrl": address, "TimeZone": "UTC", "ParticipantLookup": "email"},
        "Credentials": {"Username": "hub", "Password": password},
    }
    answer = await hub.client.put("/subscribers/imis", json=subscriber)
    assert answer.status_code == 201, answer.text
    subscription = {
        "Name": "All",
        "SubscriberId": "imis",
        "ProgramId": "NURSES",
        "EventTypes": ["AI_COMP_SUCCESS"],
        "Target": {"Kind": "activity"},
        "Templates": {"_default": {"ActivityType": "TCLEARNING"}},
    }
    answer = await hub.client.put("/subscriptions/all", json=subscription)
    assert answer.status_code == 201, answer.text
    return str((await hub.client.post("/events", json=an_event_body())).headers["Location"])


def _has_ended(found: list[dict[str, Any]]) -> bool:
    """Parked, or waiting until the credentials are fixed."""
    return bool(found) and (
        found[0]["State"] == "parked" or (found[0]["State"] == "waiting" and "paused" in found[0]["Message"])
    )


async def _deliveries(hub: RunningHub, event: str) -> list[dict[str, Any]]:
    return list((await hub.client.get(f"{event}/deliveries")).json()["Items"])


@asynccontextmanager
async def _subscriber(status: int, body: bytes) -> AsyncIterator[str]:
    """A site that answers everything alike."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async with served(app) as address:
        yield address

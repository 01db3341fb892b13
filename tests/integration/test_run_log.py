"""The log of a run: what happened in it, as JSON lines and live."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from imis_hub import TEMPLATE, ImisHub
from running import RunningHub

from learning_hub.api import run_log as api
from learning_hub.process import run_log
from learning_hub.sandbox import RunningSandbox
from learning_hub.store import run_log as store

pytestmark = pytest.mark.usefixtures("one_day")
AS_EVENTS = {"Accept": "text/event-stream"}
GOING_ON = """
INSERT INTO run (run_id, program_id, trigger, request, requested_by)
VALUES ('01JD0000000000000000000000', 'NURSES', 'run', '{}', 'somebody')
"""


async def log_of(client: httpx.AsyncClient, run_id: str) -> list[dict[str, Any]]:
    answer = await client.get(f"/runs/{run_id}/log")
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


async def events_in(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """The events of a stream; comments as those without data."""
    event: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(":")
            event[name] = value.removeprefix(" ")
        else:
            yield event
            event = {}


async def events_of(client: httpx.AsyncClient, run_id: str, **headers: str) -> list[dict[str, str]]:
    async with client.stream("GET", f"/runs/{run_id}/log", headers=AS_EVENTS | headers) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        return [event async for event in events_in(answer)]


async def a_run_of_every_kind(imis_hub: ImisHub) -> tuple[dict[str, Any], dict[str, str]]:
    """A run whose deliveries reach every final state, and the ids of its events by name."""
    await imis_hub.set_up(Schedule="manual", Templates={"_default": TEMPLATE, "External Training": None})
    events = {
        "before": await imis_hub.publish(PublisherEventId="before"),
        "fine": await imis_hub.publish(PublisherEventId="fine"),
        "nobody": await imis_hub.publish(PublisherEventId="nobody", PublisherParticipantId="nobody@example.org"),
        "off": await imis_hub.publish(PublisherEventId="off", PublisherEventCategory={"value": "External Training"}),
        "older": await imis_hub.publish(PublisherEventId="twice"),
        "newer": await imis_hub.publish(PublisherEventId="twice", PublisherEventData={"Activity Title": "B"}),
    }
    ids = {name: location.removeprefix("/events/") for name, location in events.items()}
    await imis_hub.put_subscription(Schedule="manual", Templates={"_default": {"ActivityType": "TCLEARNING"}})
    await imis_hub.process(EventIds=[ids["before"]])
    await imis_hub.put_subscription(Schedule="manual", Templates={"_default": TEMPLATE, "External Training": None})
    await imis_hub.fault("500", Method="POST", Path="/api/Activity", Times=1)
    return await imis_hub.process(EventIds=list(ids.values())), ids


async def test_a_log_tells_what_became_of_each(imis_hub: ImisHub) -> None:
    """Every delivery of a run has its lines, in the order of time, between those of the run itself."""
    run, ids = await a_run_of_every_kind(imis_hub)
    lines = await log_of(imis_hub.client, run["RunId"])

    assert lines == sorted(lines, key=lambda line: line["AtUtc"])
    of_run = [line["Message"] for line in lines if line["DeliveryId"] is None]
    assert (of_run[0], of_run[1]) == ("Begun: processEvents, asked for by admin.", "Gathered: 6 deliveries.")
    assert of_run[2].startswith("Finished: 6 matched, ")
    assert len(of_run) == 3
    told = {name: [line["Message"] for line in lines if line["EventId"] == of] for name, of in ids.items()}
    assert told["before"] == ["Already delivered before."]
    assert [message[:15] for message in told["nobody"]] == ["Parked: iMIS ha"]
    assert told["off"][0].startswith("Skipped: ")
    assert told["older"][0].startswith("Superseded: ")
    sent = [*told["fine"], *told["newer"]]
    assert sum(message.startswith("Sent: delivered as 88") for message in sent) == run["Delivered"]
    failed = [message for message in sent if message.startswith("Failed: ")]
    assert len(failed) == 1
    assert len([message for message in sent if message.startswith("Retrying: ")]) == run["Retrying"]
    assert {line["DeliveryId"] for line in lines if line["EventId"]} == {
        item["DeliveryId"] for item in (await imis_hub.client.get("/deliveries")).json()["Items"]
    }


async def test_what_happens_later_is_not_of_the_run(imis_hub: ImisHub) -> None:
    """The log of a run that is over ends with the run, whatever happens to its deliveries later."""
    await imis_hub.set_up(State="stopped")
    await imis_hub.publish()
    run = await imis_hub.process(ProgramId="NURSES")
    log = await log_of(imis_hub.client, run["RunId"])
    assert [line["Message"] for line in log][1:] == [
        "Gathered: 1 delivery.",
        "Waiting: held until its subscription is started or run.",
        "Finished: 1 matched, 1 waiting.",
    ]
    later = await imis_hub.process(SubscriptionId="completions")
    assert (await log_of(imis_hub.client, later["RunId"]))[2]["Message"].startswith("Sent: delivered as ")
    assert [line["Message"] for line in await log_of(imis_hub.client, run["RunId"])][2] == "Not sent by this run."


async def test_how_a_log_is_answered(imis_hub: ImisHub) -> None:
    """JSON Lines unless events are requested; never cached, never buffered by a proxy; HEAD has no body."""
    await imis_hub.set_up(Schedule="manual")
    run = await imis_hub.process(ProgramId="NURSES")
    address = f"/runs/{run['RunId']}/log"
    for accept in ("*/*", "application/json", "application/x-ndjson"):
        answer = await imis_hub.client.get(address, headers={"Accept": accept})
        assert answer.headers["Content-Type"].startswith("application/x-ndjson")
        assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-store", "no")
        assert "ETag" not in answer.headers
        assert answer.headers["X-Request-Id"]
    for headers in ({}, AS_EVENTS):
        head = await imis_hub.client.head(f"/api{address}", headers=headers)
        assert (head.status_code, head.content) == (200, b"")


async def test_runs_of_others_are_not_there(imis_hub: ImisHub) -> None:
    """The log of a run of another Program, or of none, is 404, live as well."""
    await imis_hub.set_up(Schedule="manual")
    run = await imis_hub.process(ProgramId="NURSES")
    await imis_hub.hub.make_program("DOCTORS")
    other = await imis_hub.hub.caller("process", programs=["DOCTORS"])
    for client, run_id in ((other, run["RunId"]), (imis_hub.client, "01JD0000000000000000000000")):
        for headers in ({}, AS_EVENTS):
            answer = await client.get(f"/runs/{run_id}/log", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    mine = await imis_hub.hub.caller("staff", programs=["NURSES"])
    assert (await mine.get(f"/runs/{run['RunId']}/log")).status_code == 200


async def test_events_are_the_same_lines(imis_hub: ImisHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is over sends all lines as events and then the end; a reader who reconnects gets the rest."""
    run, _ = await a_run_of_every_kind(imis_hub)
    lines = await log_of(imis_hub.client, run["RunId"])
    # However they are cut into pages.
    for at_once in (10_000, 3, 1):
        monkeypatch.setattr(run_log, "LINES_AT_ONCE", at_once)
        *events, end = await events_of(imis_hub.client, run["RunId"])
        assert [json.loads(event["data"]) for event in events] == lines
        assert end == {"event": "end", "data": '{"State":"finished"}'}
        assert await log_of(imis_hub.client, run["RunId"]) == lines
    for read in range(len(events)):
        rest = await events_of(imis_hub.client, run["RunId"], **{"Last-Event-ID": events[read]["id"]})
        assert rest == [*events[read + 1 :], end]
    for odd in ("nonsense", f"{10**17}-{'0' * 32}-1", f"{9 * 10**17}-{'f' * 32}-999999999"):
        assert (await events_of(imis_hub.client, run["RunId"], **{"Last-Event-ID": odd}))[-1] == end


async def test_a_log_is_followed_while_it_grows(imis_hub: ImisHub) -> None:
    """Lines are sent while the run goes on, each once, and in the end they are the whole log."""
    await imis_hub.set_up(Schedule="manual")
    await imis_hub.fault("slow", Path="/api/Activity", Seconds=0.4)
    for number in range(6):
        await imis_hub.publish(PublisherEventId=str(number))
    answer = await imis_hub.client.post("/processEvents", json={"ProgramId": "NURSES", "Wait": False})
    assert answer.status_code == 202
    run_id = answer.headers["Location"].removeprefix("/runs/")

    came: list[tuple[float, dict[str, str]]] = []
    async with imis_hub.client.stream("GET", f"/runs/{run_id}/log", headers=AS_EVENTS) as stream:
        came += [(asyncio.get_running_loop().time(), event) async for event in events_in(stream)]

    assert came[-1][1]["event"] == "end"
    assert came[-1][0] - came[1][0] > 1
    lines = [json.loads(event["data"]) for _, event in came[:-1]]
    in_order = sorted(lines, key=lambda line: (line["AtUtc"], line["DeliveryId"] or ""))
    whole = await log_of(imis_hub.client, run_id)
    assert in_order == sorted(whole, key=lambda line: (line["AtUtc"], line["DeliveryId"] or ""))
    assert sum(line["Message"].startswith("Sent: ") for line in lines) == 6


async def test_nothing_is_left_of_a_reader_who_goes_away(hub: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A live log is kept alive by comments; when its reader hangs up, or the key is revoked, the hub stops polling."""
    monkeypatch.setattr(api, "KEEP_ALIVE_SECONDS", 0.2)
    looks = 0
    really_look = store.page

    async def look(*arguments: Any) -> list[store.LogEntry]:
        nonlocal looks
        looks += 1
        return await really_look(*arguments)

    async def looks_in_a_second() -> int:
        before = looks
        await asyncio.sleep(1)
        return looks - before

    monkeypatch.setattr(store, "page", look)
    await hub.make_program("NURSES")
    await hub.database.execute(GOING_ON)
    address = "/runs/01JD0000000000000000000000/log"
    key = (await hub.client.post("/keys", json={"Name": "k", "Programs": ["*"], "Scopes": ["process"]})).json()

    async with hub.client.stream("GET", address, headers=AS_EVENTS) as answer:
        events = events_in(answer)
        assert "somebody" in (await anext(events))["data"]
        assert await anext(events) == {"": "nothing new"}
        assert 1 <= await looks_in_a_second() <= 3
    await asyncio.sleep(0.1)
    assert await looks_in_a_second() == 0

    async with hub.client_with(key["Key"]).stream("GET", address, headers=AS_EVENTS) as answer:
        events = events_in(answer)
        await anext(events)
        await hub.client.delete(f"/keys/{key['KeyId']}")
        assert {event.get("event") for event in [event async for event in events]} <= {None}
    assert await looks_in_a_second() == 0


async def test_a_run_that_failed_says_why(hub: RunningHub) -> None:
    """The log of a run whose process is gone ends with that, and so does its stream."""
    await hub.make_program("NURSES")
    await hub.database.execute(GOING_ON.replace("requested_by)", "requested_by, gatherer)").replace("')", "', 4711)"))
    events = await events_of(hub.client, "01JD0000000000000000000000")
    assert [json.loads(event["data"]).get("Message") for event in events[:-1]] == [
        "Begun: run once, asked for by somebody.",
        "Failed: The hub process that gathered the events has ended; begin the run again.",
    ]
    assert events[-1]["data"] == '{"State":"failed"}'


async def test_a_dry_run_says_so(imis_hub: ImisHub) -> None:
    """The log of a dry run has its beginning and its end."""
    await imis_hub.set_up(Schedule="manual")
    await imis_hub.publish()
    run = await imis_hub.process(ProgramId="NURSES", DryRun=True)
    assert [line["Message"] for line in await log_of(imis_hub.client, run["RunId"])] == [
        "Begun: processEvents, asked for by admin. A dry run: nothing is sent.",
        "Finished: 1 matched, 1 waiting.",
    ]


async def test_a_run_does_not_wait_for_a_paused_subscriber(
    hub_without_worker: RunningHub, imis: RunningSandbox
) -> None:
    """A run is over although its deliveries wait for a paused subscriber."""
    imis_hub = ImisHub(hub_without_worker, imis)
    await imis_hub.set_up(Schedule="manual")
    await imis_hub.publish()
    await hub_without_worker.database.execute(
        "INSERT INTO subscriber_pause (subscriber_id, code, class, message, probe_seconds) "
        "VALUES ('imis', 'connection_failed', 'unavailable', 'It is away.', 5)"
    )
    run = await imis_hub.process(ProgramId="NURSES")
    assert (run["Matched"], run["Waiting"]) == (1, 1)
    lines = await log_of(imis_hub.client, run["RunId"])
    assert lines[2]["Message"] == "Waiting: nothing is sent to imis for now."

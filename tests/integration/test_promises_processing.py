"""Processing at the moment of publishing."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from factories import an_event_body
from imis_hub import ImisHub
from running import eventually


async def test_a_bucket_holds_what_was_just_committed(imis_hub: ImisHub) -> None:
    """An event answered 201 is in its bucket at once, also while somebody else's transaction is open on the server."""
    await imis_hub.set_up(Schedule="manual")
    async with imis_hub.hub.database.transaction() as older:
        await older.execute("SELECT pg_current_xact_id()")
        location = await imis_hub.publish()
        event = (await imis_hub.client.get(location)).json()

        result = await imis_hub.process(EventDateBucket=event["EventDateBucket"])

    assert (result["Matched"], result["Delivered"]) == (1, 1)


@pytest.mark.parametrize("address", ["/processEvents?ProgramId=NURSES", "/subscriptions/completions/run"])
async def test_what_is_not_settled_includes_what_was_just_committed(imis_hub: ImisHub, address: str) -> None:
    """A run over a Program or a subscription takes an event answered 201, whatever transaction is open elsewhere."""
    await imis_hub.set_up(Schedule="manual")
    async with imis_hub.hub.database.transaction() as older:
        await older.execute("SELECT pg_current_xact_id()")
        location = await imis_hub.publish()

        result = (await imis_hub.client.post(address)).json()
        again = (await imis_hub.client.post(address)).json()

    assert (result["Matched"], result["Delivered"], again["Matched"]) == (1, 1, 0)
    await imis_hub.publish(PublisherEventId="AI:later")
    await imis_hub.client.post(address)
    assert [item["State"] for item in await imis_hub.deliveries_of(location)] == ["delivered"]
    assert len(await imis_hub.activities()) == 2


async def test_runs_and_the_feed_come_to_the_same_events_at_once(imis_hub: ImisHub) -> None:
    """Several runs over a bucket whose events are being read anyway: none fails, and each event has one delivery."""
    await imis_hub.set_up(State="stopped")
    client = imis_hub.client
    for start in range(0, 1200, 400):
        # Two revisions of each: making the deliveries supersedes, row by row.
        body = [
            an_event_body(PublisherEventId=f"AI:{number}", PublisherEventData={"Revision": revision})
            for revision in range(2)
            for number in range(start, start + 200)
        ]
        results = (await client.post("/events/batch", json=body)).json()["Results"]
        bucket = (await client.get(results[0]["Location"])).json()["EventDateBucket"]
        request = {"EventDateBucket": bucket, "Wait": False}
        begun = await asyncio.gather(*(client.post("/processEvents", json=request) for _ in range(4)))
        for answer in begun:
            run = await eventually(
                partial(client.get, answer.headers["Location"]), until=lambda got: got.json()["State"] != "running"
            )
            assert run.json()["State"] == "finished", run.text
    count = await imis_hub.hub.database.fetchval("SELECT count(*) FROM delivery")
    assert count == 1200


async def test_one_spelling_of_the_program(imis_hub: ImisHub) -> None:
    """ProgramId and programId in one address are refused, also where they agree, and so is an empty one."""
    await imis_hub.set_up()
    for query in ("ProgramId=NURSES&programId=OTHER", "ProgramId=NURSES&programId=NURSES", "programId="):
        answer = await imis_hub.client.post(f"/processEvents?{query}")
        assert answer.status_code == 400, query
        assert [error["field"] for error in answer.json()["errors"]] == ["programId"]


async def test_an_unknown_program_is_told_where_it_was_named(imis_hub: ImisHub) -> None:
    """The field that is named is one that was sent."""
    event = "E:NOPE-0192d4a8-6c1e-7f3a-9b52-3c0d8e5f7a61"
    for body, field in (
        ({"EventDateBucket": "NOPE-LB-20261122"}, "EventDateBucket"),
        ({"EventIds": [event]}, "EventIds[0]"),
        ({"ProgramId": "NOPE", "EventIds": [event]}, "ProgramId"),
    ):
        answer = await imis_hub.client.post("/processEvents", json=body)
        assert answer.status_code == 400, body
        assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("options", [{}, {"DryRun": True}, {"Replay": True, "SubscriptionId": "completions"}])
async def test_events_that_are_not_there_are_named(imis_hub: ImisHub, options: dict[str, Any]) -> None:
    """A mistyped id does not look as if there were nothing to do, and the others are not sent either."""
    await imis_hub.set_up(State="stopped")
    there = (await imis_hub.publish(PublisherEventId="AI:1")).removeprefix("/events/")
    withdrawn = (await imis_hub.publish(PublisherEventId="AI:2")).removeprefix("/events/")
    assert (await imis_hub.client.delete(f"/events/{withdrawn}")).status_code == 204
    unknown = [f"{there[:-12]}{number:012d}" for number in range(2)]
    body = {"EventIds": [unknown[0], there, withdrawn, unknown[1]], **options}
    answer = await imis_hub.client.post("/processEvents", json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"] == [
        {"field": f"EventIds[{place}]", "message": "is not a known event"} for place in (0, 3)
    ]
    many = await imis_hub.client.post("/processEvents", json=body | {"EventIds": [unknown[0]] * 5000})
    assert (many.status_code, len(many.json()["errors"])) == (400, 100)
    assert await imis_hub.activities() == []
    result = await imis_hub.process(EventIds=[there, withdrawn], **options)
    assert result["Matched"] >= 1

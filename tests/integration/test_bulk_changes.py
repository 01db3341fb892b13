"""Stops, starts, archivings, requeues and discards of many deliveries: at once for claims, in batches for the rows."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from dirty_equals import IsPartialDict
from running import RunningHub, eventually

from bench.claims import queries as filling
from learning_hub.model.delivery_filter import DeliveryFilter
from learning_hub.model.run import SubscriptionChange
from learning_hub.process.bulk_changer import BulkChanger
from learning_hub.store import bulk_changes, delivery_transitions, queue, runs, subscriptions
from learning_hub.store.database import Connection, Database
from learning_hub.store.notifications import Notifications

MANY = 2500


@pytest.fixture
async def filled(database: Database) -> Database:
    """A started subscription with thousands of waiting deliveries."""
    async with database.connection() as connection:
        await connection.execute(filling.set_up)
        await connection.execute(filling.fill, MANY, "waiting")
    return database


async def change(database: Database, kind: SubscriptionChange) -> str | None:
    """Stop, start or archive the subscription; its deliveries do not follow yet."""

    async def within(connection: Connection) -> str | None:
        await subscriptions.lock(connection, "completions")
        if kind == "archive":
            saved = await subscriptions.archive(connection, "completions")
        else:
            found = await subscriptions.set_state(connection, "completions", "stopped" if kind == "stop" else "started")
            assert found
            saved = found
        return await bulk_changes.begin_of_subscription(connection, saved, kind, "admin")

    async with database.transaction() as connection:
        return await within(connection)


async def claimed(database: Database, most: int = 10) -> list[str]:
    """The subscriptions of what a worker gets."""
    return [one.subscription_id for one in await queue.claim(database, queue.Room(most=most), lease_seconds=60)]


async def finish(database: Database) -> int:
    """Carry out all batches; returns how many."""
    batches = 0
    while await bulk_changes.carry_out_batch(database):
        batches += 1
    return batches


async def states(database: Database) -> dict[str, int]:
    """How many deliveries there are by state, and whether they are held."""
    rows = await database.fetch("SELECT state || CASE WHEN held THEN ' held' ELSE '' END AS state FROM delivery")
    found = [row["state"] for row in rows]
    return {state: found.count(state) for state in set(found)}


@pytest.mark.quick
@pytest.mark.parametrize("kind", ["stop", "archive"])
async def test_nothing_is_claimed_from_the_commit_on(filled: Database, kind: SubscriptionChange) -> None:
    """Once a subscription is stopped or archived, no worker gets its deliveries, though none is held yet."""
    assert await claimed(filled, 1) == ["completions"]

    await change(filled, kind)

    assert await states(filled) == {"waiting": MANY - 1, "sending": 1}
    assert await claimed(filled) == []


@pytest.mark.quick
async def test_a_stop_waits_for_a_claim_that_has_begun(filled: Database) -> None:
    """A claim that does not see the stop is over before the stop is, so that nothing is claimed after its answer."""
    async with filled.transaction() as claiming:
        await claiming.execute(queue.queries.lock_claims)
        stopping = asyncio.create_task(change(filled, "stop"))
        await asyncio.sleep(0.1)
        assert not stopping.done()
    await stopping


@pytest.mark.quick
async def test_deliveries_follow_in_batches(filled: Database) -> None:
    """A stop holds what waits, a start releases it, an archiving discards it, each as a run with its counts."""
    stop = await change(filled, "stop")
    assert stop
    begun = await runs.find(filled, stop)
    assert begun
    assert (begun.trigger, begun.state, begun.progress and begun.progress.total) == ("stop", "running", None)
    await bulk_changes.carry_out_batch(filled)
    await bulk_changes.carry_out_batch(filled)
    halfway = await runs.find(filled, stop)
    assert halfway
    assert halfway.progress
    assert (halfway.progress.done, halfway.progress.total, halfway.counts.waiting) == (1000, MANY, 1000)
    await finish(filled)
    assert await states(filled) == {"waiting held": MANY}
    ended = await runs.find(filled, stop)
    assert ended
    assert (ended.state, ended.counts.matched, ended.counts.waiting) == ("finished", MANY, MANY)

    await change(filled, "start")
    await finish(filled)
    assert await states(filled) == {"waiting": MANY}

    await change(filled, "stop")
    await bulk_changes.carry_out_batch(filled)
    await bulk_changes.carry_out_batch(filled)
    archive = await change(filled, "archive")
    await finish(filled)
    assert await states(filled) == {"discarded": MANY}
    assert archive
    archived = await runs.find(filled, archive)
    assert archived
    assert (archived.state, archived.counts.discarded) == ("finished", MANY)
    left = "SELECT count(*) FROM bulk_change, subscription WHERE pending_change IS NOT NULL OR run_id IS NOT NULL"
    assert await filled.fetchval(left) == 0


@pytest.mark.quick
async def test_a_later_change_ends_an_earlier_one(filled: Database) -> None:
    """A subscription that is started again while it is being stopped sends everything, and the stop ends early."""
    stop = await change(filled, "stop")
    await bulk_changes.carry_out_batch(filled)
    await bulk_changes.carry_out_batch(filled)
    await change(filled, "start")
    await finish(filled)

    assert await states(filled) == {"waiting": MANY}
    assert stop
    ended = await runs.find(filled, stop)
    assert ended
    assert (ended.state, ended.message) == ("finished", bulk_changes.REPLACED)
    assert len(await claimed(filled)) == 10


@pytest.mark.quick
async def test_another_process_goes_on_where_one_was_killed(filled: Database) -> None:
    """A batch and the position after it are one commit: a process that dies in a batch leaves nothing half done."""
    stop = await change(filled, "stop")
    await bulk_changes.carry_out_batch(filled)
    await bulk_changes.carry_out_batch(filled)

    async with filled.connection() as connection:
        killed = connection.transaction()
        await killed.start()
        number = await connection.fetchval(bulk_changes.queries.change_number, "completions")
        assert await connection.fetchrow(bulk_changes.queries.take, None)
        await delivery_transitions.hold(connection, "completions", number, from_utc=None, limit=1000)
        assert await bulk_changes.carry_out_batch(filled) is None, "two processes do not work on one change"
        await killed.rollback()
    other = Database(filled.address)
    await other.open()
    assert stop
    assert await BulkChanger(other, Notifications(other)).carry_out([stop], seconds=30)
    await other.close()

    assert await states(filled) == {"waiting held": MANY}
    ended = await runs.find(filled, stop)
    assert ended
    assert ended.counts.waiting == MANY


@pytest.mark.quick
async def test_a_release_before_a_stop_is_void(filled: Database) -> None:
    """What a run or a person released is not sent after a stop; what is released after the stop is, held or not."""
    await filled.execute(
        "UPDATE delivery SET released = true WHERE delivery_uuid IN (SELECT delivery_uuid FROM delivery LIMIT 5)"
    )
    await change(filled, "stop")
    assert await claimed(filled) == []

    await runs.insert(filled, "later", "BENCH", "run", b"{}", "admin", None)
    await filled.execute(
        "INSERT INTO run_delivery SELECT program_id, 'later', delivery_uuid, false FROM delivery "
        "ORDER BY delivery_uuid LIMIT 3"
    )
    await runs.release(filled, "later", "BENCH", ["completions"], only_started=True)
    assert await claimed(filled) == [], "a run that does not name it sends nothing of a stopped subscription"
    await runs.release(filled, "later", "BENCH", ["completions"], only_started=False)
    await finish(filled)

    assert await states(filled) == {"waiting held": MANY - 3, "waiting": 3}
    assert await claimed(filled) == ["completions"] * 3


@pytest.mark.quick
async def test_a_start_keeps_the_order_of_a_record(filled: Database) -> None:
    """While a start is still releasing, a newer delivery waits for an older one of its record that is held."""
    await change(filled, "stop")
    await finish(filled)
    await filled.execute("UPDATE delivery SET publisher_event_id = 'AI:1' WHERE event_seq IN (1, 2)")
    await change(filled, "start")
    await filled.execute("UPDATE delivery SET held = false, due_utc = now() WHERE event_seq = 2")
    assert await claimed(filled) == []

    await finish(filled)

    async with filled.connection() as connection:
        assert (
            await connection.fetchval("UPDATE delivery SET due_utc = now() + interval '1 h' WHERE event_seq > 2")
            is None
        )
    assert await claimed(filled) == ["completions"]
    assert await filled.fetchval("SELECT event_seq FROM delivery WHERE state = 'sending'") == 1


@pytest.mark.quick
async def test_a_count_that_takes_too_long_is_an_estimate(filled: Database) -> None:
    """Counting what a request concerns has its time; without enough of it, the planner's estimate is the answer."""
    async with filled.connection() as connection:
        await connection.execute("TRUNCATE delivery")
        await connection.execute(filling.fill, MANY, "skipped")
        await connection.execute("VACUUM ANALYZE delivery")
    wanted = DeliveryFilter(state="skipped")

    exact = await bulk_changes.count(filled, "discard", "BENCH", wanted, milliseconds=5000)
    assert (exact.count, exact.is_exact) == (MANY, True)
    async with filled.transaction() as locking:
        await locking.execute("LOCK TABLE subscription IN ACCESS EXCLUSIVE MODE")
        counting = asyncio.create_task(bulk_changes.count(filled, "discard", "BENCH", wanted, milliseconds=50))
        await asyncio.sleep(0.2)
    estimate = await counting
    assert not estimate.is_exact
    assert MANY / 2 <= estimate.count <= MANY * 2


@pytest.fixture
async def client(hub: RunningHub) -> httpx.AsyncClient:
    """A hub with a webhook subscription that is stopped; nothing is at its address."""
    await hub.make_program()
    for path, body in (
        ("/subscribers/hook", {"Name": "Hook", "Connector": "webhook", "Settings": {"Url": "http://127.0.0.1:9/"}}),
        ("/subscriptions/posts", {"Name": "Posts", "SubscriberId": "hook", "ProgramId": "NURSES",
                                  "EventTypes": ["AI_COMP_SUCCESS"], "Target": {"Kind": "post"},
                                  "Templates": {"_default": {}}, "State": "stopped"}),
    ):  # fmt: skip
        answer = await hub.client.put(path, json=body)
        assert answer.status_code == 201, answer.text
    return hub.client


async def some_waiting(hub: RunningHub, count: int, state: str = "waiting") -> None:
    """So many deliveries of the subscription, held, or failed for one reason."""
    await hub.database.execute(
        """
        INSERT INTO delivery (program_id, delivery_uuid, subscription_id, subscriber_id, event_uuid, event_seq,
                              publisher_system_id, publisher_event_id, event_type, state, code, class, message, due_utc,
                              held)
        SELECT 'NURSES', gen_random_uuid(), 'posts', 'hook', gen_random_uuid(), number, 'LB', 'AI:' || number,
               'AI_COMP_SUCCESS', $2::text, CASE $2::text WHEN 'parked' THEN 'refused' END,
               CASE $2::text WHEN 'parked' THEN 'refused' END, CASE $2::text WHEN 'parked' THEN 'No.' END,
               CASE $2::text WHEN 'waiting' THEN now() END, $2::text = 'waiting'
          FROM generate_series(1, $1::int) AS number
        """,
        count,
        state,
    )
    await hub.database.execute("ANALYZE delivery")


async def audit(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await client.get("/audit")).json()["Items"]
    return [one for one in items if one["ObjectType"] in ("subscription", "delivery") and one["Action"] != "create"]


async def finished_run(client: httpx.AsyncClient, trigger: str) -> dict[str, Any]:
    """The newest run with this trigger, once it is finished."""

    async def look() -> Any:
        found = [one for one in (await client.get("/runs")).json()["Items"] if one["Trigger"] == trigger]
        return found[0] if found and found[0]["State"] == "finished" else None

    run: dict[str, Any] = await eventually(look)
    return run


async def test_start_and_stop_set_the_state_alone(hub: RunningHub, client: httpx.AsyncClient) -> None:
    """A start and a stop change State and nothing else; again, they change nothing; each is one line of the log."""
    before = (await client.get("/subscriptions/posts")).json()

    for operation, state in (("start", "started"), ("stop", "stopped")):
        answer = await client.post(f"/subscriptions/posts/{operation}")
        assert answer.status_code == 200
        assert answer.json() == before | {"State": state, "ChangedUtc": answer.json()["ChangedUtc"]}
        again = await client.post(f"/subscriptions/posts/{operation}")
        assert (again.status_code, again.json()) == (200, answer.json())
    assert [(one["Action"], one["Before"]["State"], one["After"]["State"]) for one in await audit(client)] == [
        ("update", "started", "stopped"), ("update", "stopped", "started"),
    ]  # fmt: skip
    assert (await client.get("/runs")).json()["Items"] == [], "no delivery had to follow"
    staff = await hub.caller("staff")
    assert (await staff.post("/subscriptions/posts/stop")).status_code == 403
    assert (await client.post("/subscriptions/nobody/stop")).status_code == 404
    assert (await client.delete("/subscriptions/posts")).status_code == 204
    assert (await client.post("/subscriptions/posts/start")).status_code == 404


async def test_many_are_discarded_with_one_line_of_the_audit_log(hub: RunningHub, client: httpx.AsyncClient) -> None:
    """A discard of all parked deliveries needs a reason, is a run with counts, and one line of the audit log."""
    await some_waiting(hub, MANY, "parked")
    refused = await client.post("/deliveries/discard", params={"State": "parked"}, json={})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "Reason")
    for params in ({}, {"State": "waiting"}):
        answer = await client.post("/deliveries/discard", params=params, json={"Reason": "Old."})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "State")

    answer = await client.post("/deliveries/discard", params={"State": "parked"}, json={"Reason": "Old."})

    assert answer.status_code == 200
    assert answer.json()["Discarded"] == MANY
    run = await finished_run(client, "discard")
    assert run["Counts"] == IsPartialDict(Matched=MANY, Discarded=MANY)
    assert run["Progress"] == {"Done": MANY, "Total": MANY}
    assert run["Request"] == {"State": "parked", "Reason": "Old."}
    (entry,) = await audit(client)
    assert entry == IsPartialDict(Action="discard", ObjectType="delivery", ObjectId=run["RunId"])
    assert entry["After"] == {"Filter": {"State": "parked"}, "Deliveries": MANY, "Reason": "Old."}
    assert (await client.get("/deliveries", params={"State": "discarded"})).json()["Items"][0]["Message"] == "Old."


async def test_many_are_requeued_after_the_answer(
    hub: RunningHub, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit into the request is requeued in batches after it; the answer has the number and the run."""
    monkeypatch.setattr("learning_hub.process.bulk_changer.BulkChanger.carry_out", _not_in_the_request)
    await some_waiting(hub, MANY, "parked")

    answer = await client.post("/deliveries/requeue", params={"State": "parked"})

    run = await finished_run(client, "requeue")
    assert answer.json() == {"Requeued": MANY, "RunIds": [run["RunId"]]}
    assert run["Counts"] == IsPartialDict(Matched=MANY, Waiting=MANY)
    (entry,) = await audit(client)
    assert entry["After"] == {"Filter": {"State": "parked"}, "Deliveries": MANY, "Reason": None}
    assert (await client.post("/deliveries/requeue", params={"State": "parked"})).json() == {"Requeued": 0}


async def _not_in_the_request(changer: BulkChanger, _run_ids: list[str], **_: float) -> bool:
    changer._notifications.notify(changer._notifications.changes)
    return False


async def test_an_archived_subscription_is_made_again_only_once_it_is_archived_through(
    hub: RunningHub, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its deliveries are still being discarded, a PUT is a conflict that names the run; then it is made again."""
    body = {name: value for name, value in (await client.get("/subscriptions/posts")).json().items()
            if name not in ("SubscriptionId", "CreatedUtc", "ChangedUtc", "ArchivedUtc")}  # fmt: skip
    await some_waiting(hub, MANY)
    async with hub.database.transaction() as connection:
        # Nobody gets on with the archiving.
        await connection.execute("SELECT FROM delivery FOR UPDATE")
        await client.delete("/subscriptions/posts")
        refused = await client.put("/subscriptions/posts", json=body)
    run = await finished_run(client, "archive")
    assert (refused.status_code, refused.json()["code"]) == (409, "still_archiving")
    assert run["RunId"] in refused.json()["detail"]
    assert run["Counts"] == IsPartialDict(Matched=MANY, Discarded=MANY)
    assert (await client.put("/subscriptions/posts", json=body)).status_code == 201

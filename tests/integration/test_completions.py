"""Completions of deliveries, stored together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from learning_hub.connectors.outcomes import Unknown
from learning_hub.deliver.completions import Completions
from learning_hub.deliver.outcome_policy import decide
from learning_hub.model import clock
from learning_hub.model.claimed_delivery import ClaimedDelivery, Completion
from learning_hub.model.retry import RetryPolicy
from learning_hub.store import queue
from learning_hub.store.database import Database
from learning_hub.store.driver_errors import DataRefused

pytestmark = pytest.mark.quick

WAITING = """
INSERT INTO program (program_id, name) VALUES ('NURSES', 'Nurses');
INSERT INTO subscriber (subscriber_id, name, connector, settings, max_concurrency)
VALUES ('imis', 'iMIS', 'imis', '{}', 100);
INSERT INTO subscription (subscription_id, name, subscriber_id, program_id, event_types, target, templates,
                          start_epoch, start_snapshot)
VALUES ('completions', 'Completions', 'imis', 'NURSES', '{}', '{}', '{}', 1, '1:1:');
INSERT INTO delivery (program_id, delivery_uuid, subscription_id, subscriber_id, event_uuid, event_seq,
                      publisher_system_id, publisher_event_id, event_type, state, due_utc)
SELECT 'NURSES', gen_random_uuid(), 'completions', 'imis', gen_random_uuid(), number, 'TopClass', number, 'AI',
       'waiting', now()
  FROM generate_series(1, 20) AS number
"""


async def claimed(database: Database) -> list[ClaimedDelivery]:
    """Twenty deliveries that are being sent."""
    async with database.connection() as connection:
        await connection.execute(WAITING)
    return await queue.claim(database, queue.Room(most=20), lease_seconds=60)


def delivered(record_id: str) -> Completion:
    return Completion(state="delivered", record_id=record_id)


async def record_ids(database: Database) -> dict[str | None, str]:
    """States by the id of the record."""
    rows = await database.fetch("SELECT state, subscriber_record_id FROM delivery ORDER BY event_seq")
    return {row["subscriber_record_id"]: row["state"] for row in rows}


async def test_each_of_many_is_stored_as_its_own_completion_says(database: Database) -> None:
    """Completions that come at once are stored apart, and each caller gets its own."""
    leases, completions = await claimed(database), Completions(database)
    outcomes = [delivered(str(number)) for number in range(19)]
    outcomes.append(Completion(state="parked", code="refused", failure_class="refused", message="No.", record_id="19"))
    settled = await asyncio.gather(*map(completions.complete, leases, outcomes))
    assert [one.completion for one in settled] == outcomes
    assert all(one.is_ours for one in settled)
    kept = await record_ids(database)
    assert kept == {str(number): "delivered" for number in range(19)} | {"19": "parked"}
    attempts = await database.fetch("SELECT code FROM attempt WHERE ended_utc IS NOT NULL")
    assert sorted(row["code"] or "" for row in attempts) == [""] * 19 + ["refused"]


async def test_one_that_cannot_be_stored_fails_alone(database: Database) -> None:
    """The others that came with it are stored all the same."""
    leases, completions = await claimed(database), Completions(database)
    outcomes = [delivered(str(number)) for number in range(20)]
    outcomes[7] = Completion(state="delivered", failure_class="none such", record_id="7")  # type: ignore[arg-type]
    results = await asyncio.gather(*map(completions.complete, leases, outcomes), return_exceptions=True)
    assert [number for number, result in enumerate(results) if isinstance(result, DataRefused)] == [7]
    kept = await record_ids(database)
    assert list(kept.values()).count("delivered") == 19


async def test_a_late_outcome_among_others_changes_nothing(database: Database) -> None:
    """A completion whose lease has expired changes nothing, also beside one of the same delivery with a valid lease."""
    leases, completions = await claimed(database), Completions(database)
    await database.execute("UPDATE delivery SET lease_until_utc = now() - interval '1 s'")
    await queue.release_expired(database, 0, [0.0])
    await database.execute("UPDATE delivery SET due_utc = now(), doubt_until_utc = NULL")
    again = {one.key: one for one in await queue.claim(database, queue.Room(most=5), lease_seconds=60)}
    late = [one for one in leases if one.key in again]
    late_ones = [completions.complete(one, delivered("late")) for one in late]
    own = [completions.complete(again[one.key], delivered("own")) for one in late]
    results = await asyncio.gather(*late_ones, *own)
    assert [one.is_ours for one in results] == [False] * 5 + [True] * 5
    assert "late" not in await record_ids(database)


@pytest.mark.parametrize("count", [1, 20])
async def test_a_success_ends_the_pause_of_its_subscriber(database: Database, count: int) -> None:
    """A success ends the pause, however many are stored with it."""
    leases, completions = await claimed(database), Completions(database)
    await database.execute(
        "INSERT INTO subscriber_pause (subscriber_id, code, class, message, since_utc, probe_seconds, next_probe_utc)"
        " VALUES ('imis', 'timed_out', 'unavailable', '', now(), 5, now())"
    )
    settled = await asyncio.gather(*(completions.complete(one, delivered("1")) for one in leases[:count]))
    assert any(one.lifted_pause for one in settled)
    assert not await database.fetchval("SELECT EXISTS (SELECT FROM subscriber_pause)")


POLICY = RetryPolicy(steps_seconds=(5.0, 30.0, 120.0), settle_seconds=10.0, probe_seconds=5.0)


async def retries(database: Database, claimed: Sequence[ClaimedDelivery]) -> list[tuple[object, ...]]:
    """State, code, failed attempts, and the waits in whole seconds of these deliveries."""
    rows = await database.fetch(
        """
        SELECT state, code, class, tries_used, in_doubt, round(extract(epoch FROM due_utc - failed_utc)) AS wait,
               round(extract(epoch FROM doubt_until_utc - failed_utc)) AS doubt
          FROM unnest($1::uuid[]) WITH ORDINALITY AS key (delivery_uuid, position)
          JOIN delivery USING (delivery_uuid)
         ORDER BY position
        """,
        [one.key.delivery_uuid for one in claimed],
    )
    return [tuple(row.values()) for row in rows]


async def complete_unknown(database: Database, claimed: Sequence[ClaimedDelivery], *, is_final: bool) -> None:
    """Complete attempts whose connection was cut, without the pause of their subscriber."""
    outcome = Unknown(code="connection_failed", message="Cut.", is_final=is_final)
    outcomes = [
        (one, msgspec.structs.replace(decide(outcome, one, POLICY, at=clock.now(), chance=0), subscriber_failure=None))
        for one in claimed
    ]
    await queue.complete_together(database, outcomes)


async def test_a_worker_that_is_gone_counts_as_an_unknown_outcome(database: Database) -> None:
    """A delivery whose lease expires waits as long, and is parked after as many attempts, as one that was cut off."""
    count = len(POLICY.steps_seconds) + 1
    leases = sorted(await claimed(database), key=lambda one: int(one.publisher_event_id))
    cut = [msgspec.structs.replace(one, attempts_used=used) for used, one in enumerate(leases[:count])]
    gone = leases[count : 2 * count]
    for used, one in enumerate(gone):
        await database.execute(
            "UPDATE delivery SET tries_used = $1::int, lease_until_utc = now() - interval '1 s'"
            " WHERE delivery_uuid = $2::uuid",
            used,
            one.key.delivery_uuid,
        )

    await complete_unknown(database, cut, is_final=False)
    await queue.release_expired(database, POLICY.settle_seconds, POLICY.steps_seconds)

    found = await retries(database, gone)
    assert found == await retries(database, cut)
    assert [(row[0], row[5]) for row in found] == [
        ("retrying", 10), ("retrying", 30), ("retrying", 120), ("parked", None),
    ]  # fmt: skip


async def test_a_worker_that_is_gone_leaves_to_a_person_what_cannot_be_asked(database: Database) -> None:
    """What was sent to a subscriber that cannot be asked is parked, whether it was cut off or its lease expires."""
    cut, gone, *_ = await claimed(database)
    await queue.mark_sent(database, [gone])
    await database.execute(
        "UPDATE delivery SET lease_until_utc = now() - interval '1 s' WHERE delivery_uuid = $1::uuid",
        gone.key.delivery_uuid,
    )

    await complete_unknown(database, [cut], is_final=True)
    await queue.release_expired(database, POLICY.settle_seconds, POLICY.steps_seconds)

    states = [row[:3] for row in await retries(database, [cut, gone])]
    assert states == [("parked", "outcome_unknown", "unavailable")] * 2

"""A walk through the states of deliveries at random, on real PostgreSQL: nothing is lost, and never two leases."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, ClassVar
from uuid import uuid4

from factories import a_valid_event
from horizon import caught_up
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from learning_hub.model.clock import now
from learning_hub.model.delivery import Claimed, Settlement
from learning_hub.model.event import judge
from learning_hub.model.ids import EventKey, new_uuid
from learning_hub.model.pause import PauseReason
from learning_hub.process.enqueuer import Enqueuer
from learning_hub.store import deliveries, events, pauses, queue
from learning_hub.store.bells import Bells
from learning_hub.store.database import Database
from learning_hub.store.deliveries import DeliveryFilter

FINAL = {"delivered", "skipped", "superseded", "discarded"}
SOURCES = st.sampled_from(["AI:1", "AI:2"])
TYPES = st.sampled_from(["AI_STARTED", "AI_COMP_SUCCESS"])
SUBSCRIPTION = """
INSERT INTO program (program_id, name) VALUES ('NURSES', 'Nurses') ON CONFLICT DO NOTHING;
INSERT INTO subscriber (subscriber_id, name, connector, settings, max_concurrency)
VALUES ('imis', 'iMIS', 'imis', '{}', 3) ON CONFLICT DO NOTHING;
INSERT INTO subscription (subscription_id, name, subscriber_id, program_id, event_types, target, templates,
                          on_withdraw, start_epoch, start_snapshot)
VALUES ('all', 'All', 'imis', 'NURSES', '{AI_STARTED,AI_COMP_SUCCESS}', '{}', '{"_default": {}}', 'remove', 0, '1:1:')
ON CONFLICT DO NOTHING;
DELETE FROM subscription_place;
INSERT INTO subscription_place VALUES ('all', 0, '0', 0);
TRUNCATE event, delivery, attempt, subscriber_pause;
"""

BEHIND = """
SELECT EXISTS (SELECT FROM event, subscription_place AS place
                WHERE (event.epoch, event.xid, event.seq) > (place.epoch, place.xid, place.seq))
"""


def a_pause(code: str) -> PauseReason:
    """What a failure at the subscriber as a whole says; refused credentials have no probes."""
    probe = None if code == "credentials_refused" else 5.0
    return PauseReason(code=code, failure_class="unavailable", message="Away.", first_probe_seconds=probe)


class DeliveryMachine(RuleBasedStateMachine):
    """Publishers, two workers, staff and time, each doing whatever comes into their mind."""

    database: ClassVar[Database]
    loop: ClassVar[asyncio.AbstractEventLoop]

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        async def prepare() -> None:
            async with self.database.connection() as connection:
                await connection.execute(SUBSCRIPTION)

        self.do(prepare())
        self.enqueuer = Enqueuer(self.database, Bells(self.database))
        self.leases: list[Claimed] = []
        self.published: list[EventKey] = []
        self.withdrawn: set[EventKey] = set()
        self.final: dict[str, str] = {}
        self.newest_delivered: dict[str, int] = {}

    @rule(source=SOURCES, event_type=TYPES)
    def publish(self, source: str, event_type: str) -> None:
        """A revision arrives."""
        event = a_valid_event(PublisherEventId=source, EventType=event_type, PublisherEventData={"Marker": uuid4().hex})

        async def store() -> EventKey:
            async with self.database.transaction() as connection:
                (latest,) = await events.latest_entries(connection, [event.source_key])
                appended = events.Appended(
                    event=event,
                    event_uuid=new_uuid(),
                    content_hash=event.content_hash(),
                    verdict=judge(latest, event.content_hash()),
                    created_utc=now(),
                )
                await events.append_events(connection, [appended])
            await self.read_on()
            return EventKey("NURSES", appended.event_uuid)

        self.published.append(self.do(store()))

    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        """A publisher takes an event back."""
        if self.published:
            key = data.draw(st.sampled_from(self.published))
            if self.do(events.append_withdrawal(self.database, key, now())):
                self.withdrawn.add(key)
            self.do(self.read_on())

    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        """A worker takes what is due."""
        is_paused = self.do(self.database.fetchval("SELECT EXISTS (SELECT FROM subscriber_pause)"))
        under_way = self.do(self.database.fetchval("SELECT count(*) FROM delivery WHERE state = 'sending'"))
        claimed = self.do(queue.claim(self.database, queue.Room(most=limit), lease_seconds=60))
        if is_paused:
            assert len(claimed) <= (0 if under_way else 1)
            assert all(lease.is_probe for lease in claimed)
        self.leases += claimed

    @rule(
        data=st.data(),
        state=st.sampled_from(["delivered", "retrying", "parked"]),
        pause=st.sampled_from([None, "connection_failed", "credentials_refused"]),
    )
    def settle(self, data: st.DataObject, state: Any, pause: str | None) -> None:
        """A worker comes back with an outcome, perhaps too late, and perhaps with one that tells of the subscriber."""
        if not self.leases:
            return
        lease = data.draw(st.sampled_from(self.leases[-4:]))
        held_now = self.do(self.lease_of(lease))
        was_paused = self.do(self.database.fetchval("SELECT EXISTS (SELECT FROM subscriber_pause)"))
        settlement = Settlement(
            state=state,
            code=None if state == "delivered" else "refused",
            failure_class=None if state == "delivered" else "refused",
            message=None if state == "delivered" else "No.",
            due_utc=now() if state == "retrying" else None,
            tries_used=lease.tries_used + (state != "delivered"),
            pause=None if pause is None or state == "delivered" else a_pause(pause),
        )
        settled = self.do(queue.settle(self.database, lease, settlement))
        assert settled.is_ours == (held_now == lease.lease_id)
        if settled.is_ours and settlement.pause and (pause == "credentials_refused" or was_paused):
            counts = lease.is_probe and pause != "credentials_refused"
            assert (settled.settlement.state == "waiting") == (not counts)
            assert counts or settled.settlement.tries_used == lease.tries_used

    @rule()
    def mend(self) -> None:
        """Somebody mends the credentials."""

        async def lift() -> None:
            async with self.database.transaction() as connection:
                await pauses.lift(connection, "imis", credentials_mended=True)

        self.do(lift())

    @rule()
    def time_passes(self) -> None:
        """The next probe of a paused subscriber is due."""
        self.do(
            self.database.execute("UPDATE subscriber_pause SET next_probe_utc = now() WHERE next_probe_utc IS NOT NULL")
        )

    @rule()
    def workers_die(self) -> None:
        """All leases run out."""
        self.do(
            self.database.execute(
                "UPDATE delivery SET lease_until_utc = now() - interval '1 s' WHERE state = 'sending'"
            )
        )
        self.do(queue.release_expired(self.database, settle_seconds=0, steps_seconds=[0] * 1000))

    @rule()
    def requeue(self) -> None:
        """Staff put back everything that is parked."""

        async def put_back() -> None:
            async with self.database.transaction() as connection:
                await deliveries.requeue(connection, DeliveryFilter(state="parked"), limit=1000)

        self.do(put_back())

    @invariant()
    def promises_hold(self) -> None:
        """No event is without its delivery, what is final stays so, and of a record one is under way, in order."""
        if not hasattr(self, "final"):
            return
        rows = self.do(self.database.fetch("SELECT * FROM delivery"))
        sends = {row["event_uuid"] for row in rows if row["action"] == "send"}
        assert sends == {key.event_uuid for key in self.published}
        states = {str(row["delivery_uuid"]): row["state"] for row in rows}
        assert self.final.items() <= states.items()
        self.final = {uuid: state for uuid, state in states.items() if state in FINAL}
        under_way = [row for row in rows if row["state"] == "sending"]
        assert len({row["publisher_event_id"] for row in under_way}) == len(under_way) <= 3
        for row in rows:
            if row["state"] == "delivered":
                newest = self.newest_delivered.get(row["publisher_event_id"], 0)
                self.newest_delivered[row["publisher_event_id"]] = max(newest, row["event_seq"])
        for row in under_way:
            assert row["event_seq"] >= self.newest_delivered.get(row["publisher_event_id"], 0)

    async def read_on(self) -> None:
        """Make the deliveries; entries stay hidden while another test on the same server is writing."""
        await caught_up(self.database)
        await self.enqueuer.catch_up()
        assert not await self.database.fetchval(BEHIND)

    async def lease_of(self, lease: Claimed) -> Any:
        return await self.database.fetchval(
            "SELECT lease_id FROM delivery WHERE program_id = $1 AND delivery_uuid = $2",
            lease.key.program_id,
            lease.key.delivery_uuid,
        )

    def teardown(self) -> None:
        """Whatever happened: once subscribers accept, everything comes to an end."""
        if not hasattr(self, "final"):
            return
        self.mend()
        for _ in range(50):
            self.workers_die()
            self.requeue()
            self.do(self.database.execute("UPDATE delivery SET due_utc = now() WHERE state = 'retrying'"))
            for lease in self.do(queue.claim(self.database, queue.Room(most=10), lease_seconds=60)):
                assert self.do(queue.settle(self.database, lease, Settlement(state="delivered"))).is_ours
        states = {row["state"] for row in self.do(self.database.fetch("SELECT state FROM delivery"))}
        assert states <= FINAL


def test_states_of_deliveries(database_address_for_a_loop_of_its_own: str) -> None:
    """However publishers, workers, staff and time interleave, no delivery is lost and no record has two leases."""
    loop = asyncio.new_event_loop()
    database = Database(database_address_for_a_loop_of_its_own, max_connections=5)
    loop.run_until_complete(database.open())
    DeliveryMachine.database, DeliveryMachine.loop = database, loop
    try:
        run_state_machine_as_test(
            DeliveryMachine,
            settings=settings(
                max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
    finally:
        loop.run_until_complete(database.close())
        loop.close()

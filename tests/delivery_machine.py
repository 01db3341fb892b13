"""
Publishers, two workers, a subscriber, staff and time, each doing whatever comes into their mind, on real PostgreSQL.

Nothing is lost, doubled, or stuck without a reason, and there are never two leases of one record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any, ClassVar
from uuid import uuid4

from factories import a_valid_event
from feed_visibility import caught_up
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from made_up_subscriber import SETTLE_SECONDS, End, Fate, MadeUpSubscriber

from learning_hub.model.claimed_delivery import ClaimedDelivery, Completion
from learning_hub.model.clock import now
from learning_hub.model.delivery_filter import DeliveryFilter
from learning_hub.model.event import classify
from learning_hub.model.ids import DeliveryKey, EventKey, new_uuid
from learning_hub.model.run import SubscriptionChange
from learning_hub.process import gathering
from learning_hub.process.enqueuer import Enqueuer
from learning_hub.store import (
    bulk_changes,
    checkpoints,
    deliveries,
    delivery_transitions,
    events,
    pauses,
    queue,
    subscribers,
    subscriptions,
)
from learning_hub.store.database import Connection, Database
from learning_hub.store.notifications import Notifications

Chance = st.DataObject | Random
FINAL = {"delivered", "skipped", "superseded", "discarded"}
SOURCES = st.sampled_from(["AI:1", "AI:2", "AI:3"])
ENDS = st.sampled_from(["accepted", "accepted", "refused", "failed", "cut", "timed out"])
FATES = st.sampled_from(["carried out", "lost", "on its way"])
TYPES = st.sampled_from(["AI_STARTED", "AI_COMP_SUCCESS"])
# With so many open ones others are more telling than one more.
MANY = 3
RECORDS = st.lists(st.tuples(SOURCES, TYPES), min_size=1, max_size=2)
SUBSCRIPTION = """
INSERT INTO program (program_id, name) VALUES ('NURSES', 'Nurses') ON CONFLICT DO NOTHING;
INSERT INTO subscriber (subscriber_id, name, connector, settings, max_concurrency)
VALUES ('imis', 'iMIS', 'imis', '{}', 3) ON CONFLICT DO NOTHING;
UPDATE subscriber SET credentials_checked_utc = NULL;
INSERT INTO subscription (subscription_id, name, subscriber_id, program_id, event_types, target, templates,
                          on_withdraw, start_epoch, start_snapshot)
VALUES ('all', 'All', 'imis', 'NURSES', '{AI_STARTED,AI_COMP_SUCCESS}', '{"Kind": "activity"}',
        '{"_default": {}}', 'remove', 0, '1:1:')
ON CONFLICT (subscription_id) DO UPDATE SET state = 'started';
DELETE FROM subscription_checkpoint;
INSERT INTO subscription_checkpoint VALUES ('all', 0, '0', 0);
TRUNCATE event, delivery, attempt, subscriber_pause, run CASCADE;
"""

BEHIND = """
SELECT EXISTS (SELECT FROM event, subscription_checkpoint AS checkpoint
                WHERE (event.epoch, event.xid, event.seq) > (checkpoint.epoch, checkpoint.xid, checkpoint.seq))
"""
ROWS = "SELECT *, due_utc <= now() AS is_due, coalesce(doubt_until_utc > now(), false) AS may_go_on FROM delivery"
PAUSE = "SELECT coalesce(next_probe_utc <= now(), false) AS is_probe_due FROM subscriber_pause"
TIME_PASSES = """
UPDATE delivery SET doubt_until_utc = now() WHERE doubt_until_utc > now();
UPDATE delivery SET due_utc = now() WHERE due_utc > now();
"""


def pick(chance: Chance, options: Sequence[Any]) -> Any:
    """One of *options*."""
    return chance.choice(options) if isinstance(chance, Random) else chance.draw(st.sampled_from(options))


def where(*states: str) -> Callable[[Any], Any]:
    """Only where a delivery is in one of *states*: a step that changes nothing finds nothing."""
    return precondition(lambda machine: not machine.states.isdisjoint(states))


class DeliveryMachine(RuleBasedStateMachine):
    """Publishers, two workers, a subscriber, staff and time, each doing whatever comes into their mind."""

    database: ClassVar[Database]
    loop: ClassVar[asyncio.AbstractEventLoop]

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What *work* gives."""
        return self.loop.run_until_complete(work)

    @initialize(records=RECORDS)
    def begin(self, records: list[tuple[str, str]]) -> None:
        async def prepare() -> None:
            async with self.database.connection() as connection:
                await connection.execute(SUBSCRIPTION)

        self.do(prepare())
        self.enqueuer = Enqueuer(self.database, Notifications(self.database))
        self.subscriber = MadeUpSubscriber()
        self.leases: list[ClaimedDelivery] = []
        self.published: list[EventKey] = []
        self.sent: list[ClaimedDelivery] = []
        self.final: dict[str, str] = {}
        self.states: set[str] = set()
        self.open_count = 0
        self.newest_delivered: dict[str, int] = {}
        self.publish(records)

    @precondition(lambda self: self.open_count < MANY)
    @rule(records=RECORDS)
    def publish(self, records: list[tuple[str, str]]) -> None:
        """Revisions arrive."""
        for source, event_type in records:
            self.publish_one(source, event_type)
        self.do(self.read_on())

    def publish_one(self, source: str, event_type: str) -> None:
        event = a_valid_event(PublisherEventId=source, EventType=event_type, PublisherEventData={"Marker": uuid4().hex})

        async def store() -> EventKey:
            async with self.database.transaction() as connection:
                (latest,) = await events.latest_entries(connection, [event.source_key])
                appended = events.Appended(
                    event=event,
                    event_uuid=new_uuid(),
                    classification=classify(latest, event.content_hash),
                    created_utc=now(),
                )
                await events.append_events(connection, [appended])
            return EventKey("NURSES", appended.event_uuid)

        self.published.append(self.do(store()))

    @where("delivered", "parked")
    @rule(data=st.data(), what=st.sampled_from(["withdraw", "discard", "replay", "replay"]))
    def people_change_their_minds(self, data: Chance, what: str) -> None:
        """A publisher withdraws, or staff decide against a delivery or for another one."""
        {"withdraw": self.withdraw, "discard": self.discard, "replay": self.replay}[what](data)

    def withdraw(self, data: Chance) -> None:
        """A publisher takes an event back."""
        key = pick(data, self.published)
        self.do(events.append_withdrawal(self.database, key, now()))
        self.do(self.read_on())

    @where("waiting", "retrying")
    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        """A worker takes what is due; it finds nothing only where there is nothing, or a reason to wait."""
        pause = self.do(self.database.fetchrow(PAUSE))
        under_way = sum(row["state"] == "sending" for row in self.rows())
        is_stopped = self.is_stopped()
        claimed = self.do(queue.claim(self.database, queue.Room(most=limit), lease_seconds=60))
        if pause:
            assert len(claimed) <= (1 if pause["is_probe_due"] and not under_way else 0)
            assert all(lease.is_probe for lease in claimed)
        if is_stopped:
            assert claimed == []
        elif under_way < 3 if pause is None else pause["is_probe_due"] and not under_way:
            assert claimed or not self.ready(is_early_taken=pause is not None)
        self.leases += claimed

    @where("sending")
    @rule(data=st.data(), end=ENDS, fate=FATES)
    def send(self, data: Chance, end: End, fate: Fate) -> None:
        """A worker sends, and comes back with what the subscriber said; perhaps too late."""
        unsent, lost = self.unsent_and_lost()
        if unsent + lost:
            lease = pick(data, unsent + lost[-1:])
            self.send_one(lease, end, fate, is_held=lease in unsent)

    @where("waiting", "retrying")
    @rule(ends=st.lists(st.tuples(ENDS, FATES), min_size=1, max_size=3))
    def claim_and_send(self, ends: list[tuple[End, Fate]]) -> None:
        """A worker goes through what is due."""
        self.claim(len(ends))
        unsent, _ = self.unsent_and_lost()
        for lease, (end, fate) in zip(unsent, ends, strict=False):
            self.send_one(lease, end, fate, is_held=True)

    def send_one(self, lease: ClaimedDelivery, end: End, fate: Fate, *, is_held: bool) -> None:
        was_paused = self.do(self.database.fetchval("SELECT EXISTS (SELECT FROM subscriber_pause)"))
        completion = Completion(state="delivered")
        if is_held:
            completion = self.subscriber.send(lease, self.seq_of(lease), end, fate)
        settled = self.do(queue.complete(self.database, lease, completion))
        assert settled.is_ours == is_held
        code = completion.subscriber_failure and completion.subscriber_failure.code
        if is_held and code and (code == "credentials_refused" or was_paused):
            counts = lease.is_probe and not lease.is_early and code != "credentials_refused"
            assert (settled.completion.state == "waiting") == (not counts)
            assert counts or settled.completion.attempts_used == lease.attempts_used

    def seq_of(self, lease: ClaimedDelivery) -> int:
        """The seq of the event that a delivery is of."""
        return int(next(row["event_seq"] for row in self.rows() if row["delivery_uuid"] == lease.key.delivery_uuid))

    @where("sending")
    @rule(data=st.data(), fate=st.sampled_from(["carried out", "on its way"]))
    def send_without_a_word(self, data: Chance, fate: Fate) -> None:
        """A worker sends and is gone: its lease stays until it runs out."""
        unsent, _ = self.unsent_and_lost()
        if unsent and self.subscriber.is_well:
            lease = pick(data, unsent)
            self.sent.append(lease)
            self.subscriber.take(lease, self.seq_of(lease), fate)

    @where("waiting", "retrying", "sending")
    @rule(data=st.data(), what=st.sampled_from(["arrives", "settled", "probe", "probe", "died"]))
    def time_goes_on(self, data: Chance, what: str) -> None:
        """One of the things that time brings."""
        if what == "arrives":
            self.a_late_request_arrives(data)
        elif what == "settled":
            self.settling_time_is_over()
        elif what == "probe":
            self.probe_is_due()
        else:
            self.workers_die()

    def a_late_request_arrives(self, data: Chance) -> None:
        """What was on its way is carried out all the same."""
        if self.subscriber.on_the_way:
            self.subscriber.arrives(pick(data, self.subscriber.on_the_way))

    def settling_time_is_over(self) -> None:
        """Nothing is on its way any more, and what waited for its time is due."""
        self.workers_die()
        self.subscriber.on_the_way.clear()
        self.execute(TIME_PASSES)

    @where("waiting", "retrying", "sending")
    # Mostly well: a walk in which everything waits finds nothing.
    @rule(data=st.data(), is_well=st.sampled_from([True, True, False]))
    def the_world_changes(self, data: Chance, is_well: bool) -> None:
        """The subscriber, its password or the subscription."""
        what = pick(data, ["subscriber", "password", "subscription"])
        if what == "subscriber":
            self.go_away_or_come_back(is_away=not is_well)
        elif what == "password":
            self.change_or_mend_the_password(is_refused=not is_well)
        else:
            self.start_or_stop("started" if is_well else "stopped")

    def go_away_or_come_back(self, *, is_away: bool) -> None:
        """The subscriber cannot be reached, or can be again."""
        self.subscriber.is_away = is_away

    def change_or_mend_the_password(self, *, is_refused: bool) -> None:
        """Somebody changes the password at the subscriber, or fixes it and checks the subscriber."""
        self.subscriber.refuses_credentials = is_refused

        async def lift(connection: Connection) -> None:
            await connection.execute(subscribers.queries.note_check, "imis")
            await pauses.lift(connection, "imis", credentials_fixed=True)

        if not is_refused:
            self.transact(lift)

    def probe_is_due(self) -> None:
        """The next probe of a paused subscriber is due; where there is nothing to send, the pause is over."""
        self.execute("UPDATE subscriber_pause SET next_probe_utc = now() WHERE next_probe_utc IS NOT NULL")
        self.do(pauses.end_idle(self.database))

    def workers_die(self) -> None:
        """All leases run out."""
        self.execute("UPDATE delivery SET lease_until_utc = now() - interval '1 s' WHERE state = 'sending'")
        self.do(queue.release_expired(self.database, settle_seconds=SETTLE_SECONDS, steps_seconds=[0] * 1000))

    @where("parked", "retrying")
    @rule(wanted=st.sampled_from([DeliveryFilter(state="parked"), DeliveryFilter(subscription_id="all")]))
    def requeue(self, wanted: DeliveryFilter) -> None:
        """Staff put back everything that is parked, or is to be tried again as well."""
        self.transact(
            lambda connection: delivery_transitions.requeue(connection, wanted, only=None, after=None, limit=1000)
        )

    def discard(self, data: Chance) -> None:
        """Staff decide against a delivery; one that is under way goes on."""
        if open_ones := [row for row in self.rows() if row["state"] not in FINAL]:
            row = pick(data, open_ones)
            key = DeliveryKey("NURSES", row["delivery_uuid"])
            after = self.transact(lambda connection: deliveries.discard(connection, key, "Not wanted."))
            assert (after is None) == (row["state"] == "sending")

    def start_or_stop(self, state: str) -> None:
        """Staff start the subscription, or stop it."""

        async def change(connection: Connection) -> None:
            await subscriptions.lock(connection, "all")
            if after := await subscriptions.set_state(
                connection, "all", "started" if state == "started" else "stopped"
            ):
                kind: SubscriptionChange = "start" if state == "started" else "stop"
                await bulk_changes.begin_of_subscription(connection, after, kind, "admin")

        self.transact(change)
        self.carry_out_changes()

    def discard_all(self) -> None:
        """Staff decide against everything that is parked or skipped."""

        async def begin(connection: Connection) -> None:
            wanted = DeliveryFilter(subscription_id="all")
            await bulk_changes.begin(
                connection, "discard", "NURSES", wanted, {}, requested_by="admin", total=None, reason="Not wanted."
            )

        self.transact(begin)
        self.carry_out_changes()

    def carry_out_changes(self) -> None:
        """Deliveries follow the changes of their subscription."""
        while self.do(bulk_changes.carry_out_batch(self.database)):
            pass

    def replay(self, data: Chance) -> None:
        """Staff send again what was delivered."""
        key = pick(data, self.published)

        async def make(connection: Connection) -> None:
            there = await subscriptions.find(connection, "all")
            assert there
            entries = await checkpoints.entries_of_events(connection, "NURSES", [key.event_uuid])
            await gathering._make_deliveries(connection, there, entries, replay=True)

        self.transact(make)

    @invariant()
    def promises_hold(self) -> None:
        """No event is without its delivery, what is final stays so, and of a record one is under way, in order."""
        if not hasattr(self, "final"):
            return
        rows = self.rows()
        sends = {row["event_uuid"] for row in rows if row["action"] == "send"}
        assert sends == {key.event_uuid for key in self.published}
        states = {str(row["delivery_uuid"]): row["state"] for row in rows}
        assert self.final.items() <= states.items()
        self.final = {uuid: state for uuid, state in states.items() if state in FINAL}
        self.states = set(states.values())
        self.open_count = sum(state not in FINAL for state in states.values())
        under_way = [row for row in rows if row["state"] == "sending"]
        assert len({row["publisher_event_id"] for row in under_way}) == len(under_way) <= 3
        for row in rows:
            if row["state"] == "delivered":
                newest = self.newest_delivered.get(row["publisher_event_id"], 0)
                self.newest_delivered[row["publisher_event_id"]] = max(newest, row["event_seq"])
        for row in under_way:
            assert row["event_seq"] >= self.newest_delivered.get(row["publisher_event_id"], 0)
        assert self.is_stopped() or not any(row["held"] for row in rows)
        assert all(len(held) <= 1 for held in self.subscriber.records.values())

    def ready(self, *, is_early_taken: bool) -> list[Any]:
        """What nothing stands in the way of: the oldest of each record that has none under way or in doubt."""
        rows = self.rows()
        closed = {row["publisher_event_id"] for row in rows if row["state"] == "sending" or row["may_go_on"]}
        waiting = [row for row in rows if row["state"] in ("waiting", "retrying") and not row["held"]]
        waiting.sort(key=lambda row: (row["event_seq"], row["delivery_uuid"]), reverse=True)
        oldest = {row["publisher_event_id"]: row for row in waiting}
        return [row for source, row in oldest.items() if source not in closed and (is_early_taken or row["is_due"])]

    async def read_on(self) -> None:
        """Make the deliveries; entries stay hidden while another test on the same server is writing."""
        await caught_up(self.database)
        await self.enqueuer.catch_up()
        assert not await self.database.fetchval(BEHIND)

    def unsent_and_lost(self) -> tuple[list[ClaimedDelivery], list[ClaimedDelivery]]:
        """The leases that are held and not sent with yet, and those that are over."""
        held = {(row["delivery_uuid"], row["lease_id"]) for row in self.rows()}
        lost = [one for one in self.leases if (one.key.delivery_uuid, one.lease_id) not in held]
        return [one for one in self.leases if one not in lost and one not in self.sent], lost

    def rows(self) -> Any:
        return self.do(self.database.fetch(ROWS))

    def is_stopped(self) -> Any:
        return self.do(self.database.fetchval("SELECT state = 'stopped' FROM subscription"))

    def execute(self, statements: str) -> None:
        async def whole() -> None:
            async with self.database.connection() as connection:
                await connection.execute(statements)

        self.do(whole())

    def transact(self, work: Any) -> Any:
        """What *work* with a connection gives, in a transaction."""

        async def whole() -> Any:
            async with self.database.transaction() as connection:
                return await work(connection)

        return self.do(whole())

    def teardown(self) -> None:
        """Whatever happened: once subscribers accept, everything comes to an end, and what is there is the newest."""
        if not hasattr(self, "final"):
            return
        self.subscriber.is_away = False
        self.change_or_mend_the_password(is_refused=False)
        self.start_or_stop("started")
        for _ in range(50):
            self.settling_time_is_over()
            self.requeue(DeliveryFilter(state="parked"))
            for lease in self.do(queue.claim(self.database, queue.Room(most=10), lease_seconds=60)):
                completion = self.subscriber.send(lease, self.seq_of(lease), "accepted", "carried out")
                assert self.do(queue.complete(self.database, lease, completion)).is_ours
        rows = self.rows()
        assert {row["state"] for row in rows} <= FINAL
        for source in {row["publisher_event_id"] for row in rows}:
            of_source = [row for row in rows if row["publisher_event_id"] == source]
            # Of what staff decided against nobody knows whether it arrived.
            if not any(row["state"] == "discarded" for row in of_source):
                delivered = [row for row in of_source if row["state"] == "delivered"]
                newest = max(delivered, key=lambda row: row["event_seq"], default=None)
                there = [newest["event_seq"]] if newest and newest["action"] == "send" else []
                assert self.subscriber.records.get(source, []) == there

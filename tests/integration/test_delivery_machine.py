"""Walks through the states of deliveries, at random and along every arrow, on real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from random import Random
from typing import Literal

import delivery_arrows
import pytest
from delivery_machine import DeliveryMachine
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from made_up_subscriber import End, Fate

from learning_hub.model.claimed_delivery import Completion
from learning_hub.model.clock import now
from learning_hub.model.delivery_filter import DeliveryFilter
from learning_hub.model.delivery_transitions import ARROWS, TRANSITIONS
from learning_hub.model.ids import DeliveryKey
from learning_hub.store import bulk_changes, deliveries, queue, subscriptions
from learning_hub.store.database import Connection, Database

LISTED = {
    statement: {arrow for one in TRANSITIONS if one.statement == statement for arrow in one.arrows}
    for statement in {one.statement for one in TRANSITIONS}
}
# As `make faults` says.
SEED = int(os.environ.get("LEARNING_HUB_TEST_SEED") or 1)
WALKS = 200 if os.environ.get("LEARNING_HUB_TEST_FAULTS") == "long" else 20


def a_step(machine: DeliveryMachine, chance: Random) -> None:
    """One thing that happens, by chance; the first of these is what happens most."""
    ends: list[End] = ["accepted", "accepted", "refused", "failed", "cut", "timed out"]
    fates: list[Fate] = ["carried out", "lost", "on its way"]
    types = ["AI_STARTED", "AI_COMP_SUCCESS"]
    times = ["arrives", "arrives", "settled", "settled", "probe", "died"]
    steps: list[tuple[int, Callable[[], None]]] = [
        (8, lambda: machine.claim_and_send([(chance.choice(ends), chance.choice(fates)) for _ in range(3)])),
        (3, lambda: machine.claim(chance.randint(1, 3))),
        (3, lambda: machine.send(chance, chance.choice(ends), chance.choice(fates))),
        (5, lambda: machine.time_goes_on(chance, chance.choice(times))),
        (5, lambda: machine.publish([(chance.choice(["AI:1", "AI:2"]), chance.choice(types))])),
        (2, lambda: machine.requeue(DeliveryFilter(state=chance.choice(["parked", "retrying"])))),
        (4, lambda: machine.the_world_changes(chance, is_well=chance.random() < 0.6)),
        (1, lambda: machine.send_without_a_word(chance, chance.choice(fates[::2]))),
        (1, lambda: machine.people_change_their_minds(chance, chance.choice(["withdraw", "discard", "replay"]))),
    ]
    chance.choices([step for _, step in steps], [weight for weight, _ in steps])[0]()
    machine.promises_hold()


@pytest.fixture
def loop(database_address: str) -> Iterator[asyncio.AbstractEventLoop]:
    """The loop of the machines, which have a database on it."""
    loop = asyncio.new_event_loop()
    database = Database(database_address, max_connections=5)
    loop.run_until_complete(database.open())
    DeliveryMachine.database, DeliveryMachine.loop = database, loop
    DeliveryMachine().execute(delivery_arrows.RECORD)
    yield loop
    taken = loop.run_until_complete(delivery_arrows.recorded(database))
    loop.run_until_complete(database.close())
    loop.close()
    for statement, arrows in taken.items():
        assert arrows <= LISTED.get(statement, set()), statement


def test_states_of_deliveries(loop: asyncio.AbstractEventLoop) -> None:
    """However publishers, workers, a subscriber, staff and time interleave, nothing is lost, doubled or stuck."""
    run_state_machine_as_test(
        DeliveryMachine,
        settings=settings(
            max_examples=20, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_states_of_deliveries_by_chance_alone(loop: asyncio.AbstractEventLoop) -> None:
    """The same, where steps that matter are likely: Hypothesis prefers what is simple, and repeats itself."""
    for seed in range(SEED, SEED + WALKS):
        machine, chance = DeliveryMachine(), Random(seed)
        machine.begin([("AI:1", "AI_COMP_SUCCESS")])
        try:
            for _ in range(100):
                a_step(machine, chance)
            machine.teardown()
        except AssertionError as error:
            error.add_note(f"To repeat it alone: LEARNING_HUB_TEST_SEED={seed}")
            raise


@pytest.mark.quick
def test_what_was_put_back_before_a_stop_waits_when_it_fails_after_it(loop: asyncio.AbstractEventLoop) -> None:
    """That staff put it back once does not let it out of a subscription that is stopped while it is under way."""
    machine, chance = DeliveryMachine(), Random(1)
    machine.begin([("AI:1", "AI_COMP_SUCCESS")])
    machine.claim_and_send([("refused", "lost")])
    machine.requeue(DeliveryFilter(state="parked"))
    machine.claim(1)
    machine.start_or_stop("stopped")
    machine.send(chance, "failed", "lost")
    machine.settling_time_is_over()

    assert [(row["state"], row["held"]) for row in machine.rows()] == [("waiting", True)]
    machine.claim(1)
    machine.teardown()


Ending = Literal["delivered", "waiting", "retrying", "parked", "skipped", "discarded"]


class Walk:
    """One delivery after the other, each led along a way of its own."""

    def __init__(self) -> None:
        self.machine = DeliveryMachine()

    def delivery(self, state: Ending = "waiting") -> DeliveryMachine:
        """A machine whose only delivery has come to *state*."""
        machine = self.machine
        machine.execute("UPDATE subscription SET archived_utc = NULL, templates = '{\"_default\": {}}'")
        machine.begin([("AI:1", "AI_COMP_SUCCESS")])
        if state == "skipped":
            self.templates(are_there=False)
            machine.begin([("AI:1", "AI_COMP_SUCCESS")])
            self.templates(are_there=True)
        elif state != "waiting":
            self.complete(state)
        assert [row["state"] for row in machine.rows()] == [state]
        return machine

    def complete(self, state: Ending) -> None:
        """Send what is due, and end it with *state*."""
        machine = self.machine
        is_final = state in ("delivered", "waiting")
        for lease in machine.do(queue.claim(machine.database, queue.Room(most=1), lease_seconds=60)):
            completion = Completion(
                state=state,
                code=None if is_final else "refused",
                failure_class="refused" if state in ("retrying", "parked") else None,
                message=None if is_final else "No.",
                due_utc=now() if state == "retrying" else None,
            )
            machine.do(queue.complete(machine.database, lease, completion))

    def newer(self) -> None:
        """A newer revision of the same source key arrives."""
        self.machine.publish([("AI:1", "AI_COMP_SUCCESS")])

    def templates(self, *, are_there: bool) -> None:
        """The only category has a template, or is without."""
        templates = '{"_default": {}}' if are_there else "{}"
        self.machine.execute(f"UPDATE subscription SET templates = '{templates}'")

    def withdraw(self) -> None:
        """The publisher withdraws the first event."""
        self.machine.withdraw(Random(1))

    def put_back(self) -> None:
        """Staff put everything back that can be."""
        self.machine.requeue(DeliveryFilter(subscription_id="all"))

    def discard(self) -> None:
        """Staff decide against the delivery."""
        (row,) = self.machine.rows()
        key = DeliveryKey("NURSES", row["delivery_uuid"])
        assert self.machine.transact(lambda connection: deliveries.discard(connection, key, "Not wanted."))

    def archive(self) -> None:
        """The subscription is archived."""

        async def work(connection: Connection) -> None:
            await subscriptions.lock(connection, "all")
            after = await subscriptions.archive(connection, "all")
            await bulk_changes.begin_of_subscription(connection, after, "archive", "admin")

        self.machine.transact(work)
        self.machine.carry_out_changes()

    def discard_all(self) -> None:
        """Staff decide against everything that is parked or skipped."""
        self.machine.discard_all()

    def use_again(self) -> None:
        """The subscription is in use again, and reads from the beginning."""
        self.machine.execute(
            "UPDATE subscription SET archived_utc = NULL;"
            "UPDATE subscription_checkpoint SET epoch = 0, xid = '0', seq = 0"
        )
        self.machine.do(self.machine.read_on())


@pytest.mark.quick
def test_every_arrow_is_taken(loop: asyncio.AbstractEventLoop) -> None:
    """Every arrow of the list is one that deliveries take, and they take no other."""
    walk = Walk()
    state: Ending
    for state in ("delivered", "retrying", "parked", "skipped", "discarded", "waiting"):
        walk.delivery()
        walk.complete(state)
    walk.delivery("retrying")
    walk.complete("delivered")
    for state in ("waiting", "retrying", "parked"):
        walk.delivery(state)
        walk.withdraw()
    for state in ("waiting", "retrying"):
        walk.delivery(state)
        walk.newer()
        walk.delivery(state)
        walk.archive()
    for state in ("waiting", "retrying", "parked", "skipped"):
        walk.delivery(state)
        walk.discard()
    for state in ("parked", "skipped"):
        walk.delivery(state)
        walk.discard_all()
    for state in ("retrying", "parked", "skipped"):
        walk.delivery(state)
        walk.put_back()
    for state in ("parked", "skipped"):
        walk.delivery(state)
        walk.newer()
        walk.put_back()
    for are_there in (True, False):
        walk.delivery()
        walk.archive()
        walk.templates(are_there=are_there)
        walk.use_again()
    walk.delivery("skipped")
    walk.use_again()

    taken = loop.run_until_complete(delivery_arrows.recorded(DeliveryMachine.database))
    assert {arrow for arrows in taken.values() for arrow in arrows} == ARROWS

"""Walks through the states of deliveries at random, on real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from random import Random

import pytest
from delivery_machine import DeliveryMachine
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from made_up_subscriber import End, Fate

from learning_hub.store.database import Database
from learning_hub.store.deliveries import DeliveryFilter

# As `make faults` says.
SEED = int(os.environ.get("LEARNING_HUB_TEST_SEED") or 1)
WALKS = 200 if os.environ.get("LEARNING_HUB_TEST_FAULTS") == "long" else 20


def a_step(machine: DeliveryMachine, chance: Random) -> None:
    """One thing that happens, by chance; what is told first is what happens most."""
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
def loop(database_address_for_a_loop_of_its_own: str) -> Iterator[asyncio.AbstractEventLoop]:
    """The loop of the machines, which have a database on it."""
    loop = asyncio.new_event_loop()
    database = Database(database_address_for_a_loop_of_its_own, max_connections=5)
    loop.run_until_complete(database.open())
    DeliveryMachine.database, DeliveryMachine.loop = database, loop
    yield loop
    loop.run_until_complete(database.close())
    loop.close()


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

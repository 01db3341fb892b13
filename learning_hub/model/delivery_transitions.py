"""
The states of a delivery and the transitions between them.

Each transition names the statement of `store/delivery_transitions.sql` that carries it out. Tests compare the list with
those statements, with the transitions that deliveries take, and with docs/reference/delivery-states.md.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from learning_hub.model.delivery import State

Start = Literal["[*]"]
START: Start = "[*]"


class Transition(msgspec.Struct, frozen=True):
    """*statement* moves a delivery from one of the states *before* to *after*, or makes it; *cause* says when."""

    name: str
    statement: str
    before: tuple[State | Start, ...]
    after: State
    cause: str

    @property
    def arrows(self) -> frozenset[tuple[State | Start, State]]:
        return frozenset((before, self.after) for before in self.before)


_PENDING: tuple[State, ...] = ("waiting", "retrying")

# In the order of a delivery's life, like the statements.
TRANSITIONS = (
    # The delivery is made.
    Transition("matched", "insert_deliveries", (START,), "waiting", "An event matches the subscription."),
    Transition(
        "no template", "insert_deliveries", (START,), "skipped", "The category has no template, or is switched off."
    ),
    Transition(
        "in use again",
        "insert_deliveries",
        ("discarded",),
        "waiting",
        "Its archived subscription is put again, and reads its event again.",
    ),
    Transition(
        "in use again",
        "insert_deliveries",
        ("discarded",),
        "skipped",
        "The same, but the category has no template now.",
    ),
    Transition(
        "processed again",
        "insert_deliveries",
        ("skipped",),
        "waiting",
        "Its event is processed again, and has a template now, or its reopening was withdrawn.",
    ),
    Transition("newer revision", "supersede", _PENDING, "superseded", "A newer revision of its source key came."),
    # The event is withdrawn, or the source record reopened.
    Transition("withdrawn", "skip_withdrawn", (*_PENDING, "parked"), "skipped", "Its event was withdrawn."),
    Transition(
        "withdrawn",
        "skip_already_withdrawn",
        _PENDING,
        "skipped",
        "Its event was named in a request, but is withdrawn.",
    ),
    Transition("reopened", "skip_reopened", (*_PENDING, "parked"), "skipped", "Its source record was reopened."),
    # The subscription stops sending by itself.
    Transition("stopped", "hold", ("retrying",), "waiting", "Its subscription was stopped: it is held."),
    # A worker claims the delivery.
    Transition("claimed", "claim", _PENDING, "sending", "A worker takes it."),
    Transition(
        "withdrawn or reopened",
        "claim",
        _PENDING,
        "skipped",
        "A worker finds that its event was withdrawn or its record reopened.",
    ),
    Transition(
        "newer delivered",
        "claim",
        _PENDING,
        "superseded",
        "A worker finds that something newer was delivered into its record.",
    ),
    # The attempt ends.
    Transition("delivered", "complete", ("sending",), "delivered", "The subscriber has it."),
    Transition("failed", "complete", ("sending",), "retrying", "The attempt failed in a way that may pass."),
    Transition(
        "needs a person",
        "complete",
        ("sending",),
        "parked",
        "The attempt failed in a way that a person has to fix, or too often.",
    ),
    Transition(
        "subscriber paused",
        "complete",
        ("sending",),
        "waiting",
        "The subscriber is paused: the attempt does not count.",
    ),
    Transition(
        "switched off",
        "complete",
        ("sending",),
        "skipped",
        "The category has no template any more, or is switched off.",
    ),
    Transition("archived", "complete", ("sending",), "discarded", "Its subscription was archived before it was sent."),
    Transition("worker gone", "release_expired", ("sending",), "retrying", "Its worker is gone, or its lease ran out."),
    Transition(
        "worker gone",
        "release_expired",
        ("sending",),
        "parked",
        "The same, but the schedule is used up, or the subscriber cannot be asked what arrived.",
    ),
    Transition(
        "withdrawn or reopened",
        "recheck_failed",
        (*_PENDING, "parked"),
        "skipped",
        "It failed, and meanwhile its event was withdrawn or its record reopened.",
    ),
    Transition(
        "archived", "recheck_failed", _PENDING, "discarded", "It failed, and meanwhile its subscription was archived."
    ),
    Transition(
        "newer revision", "recheck_failed", _PENDING, "superseded", "It failed, and meanwhile a newer revision came."
    ),
    Transition(
        "stopped",
        "recheck_failed",
        ("retrying",),
        "waiting",
        "It failed, and meanwhile its subscription was stopped: it is held.",
    ),
    # A person requeues or discards the delivery.
    Transition("requeued", "requeue", ("retrying", "parked", "skipped"), "waiting", "A person requeues it."),
    Transition(
        "requeued",
        "requeue",
        ("retrying", "parked", "skipped"),
        "superseded",
        "A person requeues it, but something newer was delivered or is to be sent.",
    ),
    Transition("discarded", "discard", (*_PENDING, "parked", "skipped"), "discarded", "A person decides against it."),
    Transition("archived", "discard_archived", _PENDING, "discarded", "Its subscription was archived."),
    Transition(
        "discarded", "discard_many", ("parked", "skipped"), "discarded", "A person decides against it and others."
    ),
)

ARROWS = frozenset(arrow for transition in TRANSITIONS for arrow in transition.arrows)

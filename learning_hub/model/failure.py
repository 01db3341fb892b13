"""
Why a delivery is where it is: every code, whose move it is, and what to do about it, in words for staff.

docs/reference/errors.md repeats this table; a test holds the two together.
"""

from __future__ import annotations

from typing import Literal

import msgspec

FailureClass = Literal["data", "mapping", "identity", "refused", "unavailable", "hub"]


class Cause(msgspec.Struct, frozen=True):
    """A code: *failure_class* is None where nobody has to move; *advice* says what a person can do."""

    failure_class: FailureClass | None
    meaning: str
    advice: str


CAUSES: dict[str, Cause] = {
    "template_error": Cause(
        "mapping",
        "The template gives no payload for this event.",
        "Mend the template at the place named, or ask the publisher for the missing value; then requeue.",
    ),
    "participant_not_found": Cause(
        "identity",
        "The subscriber has no active participant with this id.",
        "Settle who it is, add the person at the subscriber, or mend the id there; then requeue.",
    ),
    "participant_ambiguous": Cause(
        "identity",
        "The subscriber has several active participants with this id.",
        "Settle which one it is, merge them at the subscriber, or make the id unique; then requeue.",
    ),
    "refused": Cause(
        "refused",
        "The subscriber does not accept the record.",
        "Read the message and the answer with the attempt; mend what it names, the subscriber's Settings, the "
        "subscription's Target or the template; then requeue.",
    ),
    "gone": Cause(
        "refused",
        "The subscriber says that the address is gone for good.",
        "Put the new address into the subscriber, start the subscription again, and requeue.",
    ),
    "credentials_refused": Cause(
        "refused",
        "The subscriber does not accept the hub's credentials.",
        "Put valid credentials into the subscriber, or mend them there and run the check; what waits then goes out by "
        "itself.",
    ),
    "target_not_allowed": Cause(
        "refused",
        "The address leads into a network the hub may not reach; nothing was sent.",
        "Mend the address, or have the operator list it in LEARNING_HUB_ALLOWED_PRIVATE_TARGETS; then requeue.",
    ),
    "rate_limited": Cause(
        "unavailable", "The subscriber asks to slow down.", "Nothing: it is sent again when the subscriber allows it."
    ),
    "timed_out": Cause(
        "unavailable", "The subscriber did not answer in time.", "Nothing for now: it is sent again by itself."
    ),
    "connection_failed": Cause(
        "unavailable",
        "The subscriber cannot be reached.",
        "Nothing for now: it is sent again by itself. If it lasts, see whether the subscriber is up.",
    ),
    "subscriber_error": Cause(
        "unavailable",
        "The subscriber failed while working on the record.",
        "Nothing for now: it is sent again by itself. Some systems answer so to a record they cannot take.",
    ),
    "outcome_unknown": Cause(
        "unavailable",
        "The record was sent, and whether it arrived is not known.",
        "Parked: look at the subscriber whether it is there, then requeue or discard. Retrying: nothing for now, the "
        "hub asks before it sends again.",
    ),
    "retries_used_up": Cause(
        "unavailable",
        "All tries have failed.",
        "See with the attempts why the subscriber did not take it; requeue when it is back.",
    ),
    "internal_error": Cause(
        "hub",
        "The hub itself failed.",
        "Tell the operator: the hub's log has the cause. It is sent again by itself.",
    ),
    "no_template": Cause(
        None,
        "The subscription has no template for the event's category.",
        "If it should be sent: add a template for the category or a _default, then requeue.",
    ),
    "category_off": Cause(
        None,
        "The subscription ignores this category on purpose.",
        "Nothing. If it should be sent: give the category a template, then requeue.",
    ),
    "withdrawn": Cause(None, "The publisher has withdrawn the event.", "Nothing."),
    "reopened": Cause(
        None,
        "The source was reopened, and the subscription takes back what is reopened.",
        "Nothing. It is sent when it is completed again.",
    ),
    "superseded": Cause(None, "A newer one of the same source has taken its place.", "Nothing."),
    "archived": Cause(None, "The subscription is archived.", "Nothing."),
    "discarded": Cause(None, "A person decided that it is not to be sent.", "Nothing."),
}


def advice_for(code: str | None) -> str | None:
    """What to do about *code*; None where there is nothing the matter."""
    return CAUSES[code].advice if code in CAUSES else None


def class_of(code: str) -> FailureClass:
    """Whose move it is; an unknown code is our fault."""
    cause = CAUSES.get(code)
    return (cause.failure_class if cause else None) or "hub"

"""
The reason of a delivery's state: every code, who is responsible, and what to do, as sentences for staff.

docs/reference/errors.md repeats this table; a test compares the two.
"""

from __future__ import annotations

from typing import Literal

import msgspec

FailureClass = Literal["data", "mapping", "identity", "refused", "unavailable", "hub"]


class Cause(msgspec.Struct, frozen=True):
    """The meaning of a code. *failure_class* is None if nobody needs to act; *advice* says what a person can do."""

    failure_class: FailureClass | None
    meaning: str
    advice: str


CAUSES: dict[str, Cause] = {
    "template_error": Cause(
        "mapping",
        "The template gives no payload for this event.",
        "Fix the template at the path named, or ask the publisher for the missing value; then requeue.",
    ),
    "participant_not_found": Cause(
        "identity",
        "The subscriber has no active participant with this id.",
        "Match the participant, add the person at the subscriber, or fix the id there; then requeue.",
    ),
    "participant_ambiguous": Cause(
        "identity",
        "The subscriber has several active participants with this id.",
        "Match the participant, merge them at the subscriber, or make the id unique; then requeue.",
    ),
    "refused": Cause(
        "refused",
        "The subscriber does not accept the record.",
        "Read the message and the response with the attempt; fix what it names, the subscriber's Settings, the "
        "subscription's Target or the template; then requeue.",
    ),
    "gone": Cause(
        "refused",
        "The subscriber says that the address is gone for good.",
        "Save the subscriber with the new address, start the subscription again, and requeue.",
    ),
    "credentials_refused": Cause(
        "refused",
        "The subscriber does not accept the hub's credentials.",
        "Save the subscriber with valid credentials, or fix them there and run the check; waiting deliveries are then "
        "sent automatically.",
    ),
    "token_denied": Cause(
        "unavailable",
        "The subscriber denies a token that it has just issued.",
        "Nothing for now: the hub sends it again automatically. If the subscriber denies three probes in a row, the "
        "hub waits for valid credentials or a successful check.",
    ),
    "target_not_allowed": Cause(
        "refused",
        "The address leads into a network the hub may not reach; nothing was sent.",
        "Fix the address, or have the operator list it in LEARNING_HUB_ALLOWED_PRIVATE_TARGETS; then requeue.",
    ),
    "rate_limited": Cause(
        "unavailable",
        "The subscriber asks to slow down.",
        "Nothing: the hub sends it again when the subscriber allows it.",
    ),
    "timed_out": Cause(
        "unavailable",
        "The subscriber did not answer in time.",
        "Nothing for now: the hub sends it again automatically.",
    ),
    "connection_failed": Cause(
        "unavailable",
        "The subscriber cannot be reached.",
        "Nothing for now: the hub sends it again automatically. If it lasts, see whether the subscriber is up.",
    ),
    "subscriber_error": Cause(
        "unavailable",
        "The subscriber failed while working on the record.",
        "Nothing for now: the hub sends it again automatically. Some systems respond like this to a record they do not "
        "accept.",
    ),
    "outcome_unknown": Cause(
        "unavailable",
        "The record was sent, and whether it arrived is not known.",
        "Parked: check whether the subscriber has the record, then requeue or discard. Retrying: nothing for now, the "
        "hub asks before it sends again.",
    ),
    "retries_used_up": Cause(
        "unavailable",
        "All attempts have failed.",
        "See in the attempts why the subscriber did not accept it; requeue when it is back.",
    ),
    "internal_error": Cause(
        "hub",
        "The hub itself failed.",
        "Report it to the operator: the hub's log has the cause. The hub sends it again automatically.",
    ),
    "no_template": Cause(
        "mapping",
        "The subscription has no template for the event's category.",
        "To send it, add a template for the category or a _default, then requeue.",
    ),
    "category_off": Cause(
        None,
        "The subscription ignores this category on purpose.",
        "Nothing. To send it, give the category a template, then requeue.",
    ),
    "withdrawn": Cause(None, "The publisher has withdrawn the event.", "Nothing."),
    "reopened": Cause(
        None,
        "The source was reopened, and the subscription removes reopened records.",
        "Nothing. The next completion is sent.",
    ),
    "superseded": Cause(None, "A newer event of the same source record replaced it.", "Nothing."),
    "event_removed": Cause(None, "The event was removed from the hub before it was sent.", "Nothing."),
    "archived": Cause(None, "The subscription is archived.", "Nothing."),
    "discarded": Cause(None, "A person decided not to send it.", "Nothing."),
}


def advice_for(code: str | None) -> str | None:
    """The advice for *code*; None without a code."""
    return CAUSES[code].advice if code in CAUSES else None


def class_of(code: str) -> FailureClass:
    """The responsible party; the hub for an unknown code."""
    cause = CAUSES.get(code)
    return (cause.failure_class if cause else None) or "hub"

"""
What a connector answers with: the outcome of a delivery attempt, and the result of a participant lookup.

A connector never retries. The worker decides what follows from an outcome (`deliver/outcome_policy.py`).
"""

from __future__ import annotations

import math

import msgspec

from learning_hub.model.failure import FailureClass

# Longer times are given in minutes.
MOST_SECONDS_IN_SENTENCES = 120


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """
    The subscriber has the record.

    *record_id* is the record's identity at the subscriber (`880123` for an activity, `~10042|3` for a panel row), None
    where the protocol has none. *unchanged* says that the record already was as it should be and nothing was written.
    *is_confirmed* says that the record was read back after it was written and equals what was sent. *note* is a
    sentence that is kept with the attempt ("accepted for import, not yet imported").
    """

    record_id: str | None = None
    unchanged: bool = False
    is_confirmed: bool = False
    note: str | None = None


class Postponed(msgspec.Struct, frozen=True, kw_only=True):
    """
    The request was not carried out, and a later attempt may succeed: the subscriber is away, slow or asks to wait.

    *retry_after_seconds* is the wait that the subscriber asked for, None where it asked for none.
    *subscriber_is_away* distinguishes a subscriber that is down (connection errors, 502 to 504) from a single failure
    (500). *in_doubt* says that the request may have been carried out nevertheless (a server error during a write): the
    next attempt has `OutboundRecord.outcome_unknown` set, and waits for the settling time unless the code was
    `subscriber_error`.
    """

    code: str
    message: str
    failure_class: FailureClass = "unavailable"
    retry_after_seconds: float | None = None
    subscriber_is_away: bool = False
    in_doubt: bool = False

    @property
    def message_with_wait(self) -> str:
        """The message, and how long the subscriber asks to wait, for a person who waits for the answer."""
        if self.retry_after_seconds is None:
            return self.message
        return f"{self.message} It asks to wait {human_readable(self.retry_after_seconds)}."


def human_readable(seconds: float) -> str:
    """A duration for a person, rounded up: `1 second`, `90 seconds`, `3 minutes`."""
    whole = math.ceil(seconds)
    if whole <= MOST_SECONDS_IN_SENTENCES:
        return f"{whole} second{'' if whole == 1 else 's'}"
    return f"{math.ceil(whole / 60)} minutes"


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """
    No later attempt will succeed until a person fixes the data, the template, the identity or the subscriber.

    The code `credentials_refused` pauses the subscriber until its credentials are fixed; the delivery is then sent
    automatically. *stops_subscription* says that the subscriber wants no further event of this subscription (410).
    """

    code: str
    message: str
    failure_class: FailureClass = "refused"
    stops_subscription: bool = False


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """
    The request was sent and its outcome is not known (time-out or cut connection after sending).

    *code* says why, and *message* what that means for this delivery; *about_subscriber* is the sentence for the pause
    of the subscriber, None where *message* is suitable. *retry_after_seconds* is the wait that the subscriber asked
    for, None where it asked for none.

    The next attempt calls `send` with `OutboundRecord.outcome_unknown` set, and not before the settling time has
    passed. With *is_final* no attempt follows: the subscriber cannot be asked and would store the record twice, so a
    person has to decide.
    """

    code: str
    message: str
    about_subscriber: str | None = None
    retry_after_seconds: float | None = None
    subscriber_is_away: bool = True
    is_final: bool = False


Outcome = Accepted | Postponed | Refused | Unknown
Failure = Postponed | Refused | Unknown


class ParticipantFound(msgspec.Struct, frozen=True):
    """Exactly one active participant matches: *participant_id* is its id at the subscriber."""

    participant_id: str


ParticipantResult = ParticipantFound | Postponed | Refused

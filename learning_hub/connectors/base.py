"""
What a connector must be: the narrow waist between the worker and a subscriber's protocol.

A connector knows its protocol and answers with a value; the worker decides what follows. It keeps no state about
deliveries and never retries by itself. Its folder holds everything about one kind of subscriber.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from learning_hub.model.failure import FailureClass

MOST_SECONDS_IN_WORDS = 120


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """
    The subscriber has it.

    *record_id* is the record's identity there (`880123` for an activity, `~10042|3` for a panel row), None where the
    protocol has none. *unchanged* says that the record already was as it should be and nothing was written.
    *is_confirmed* says that it was read back after it was written and stands there as it was sent. *note* is a sentence
    worth keeping with the attempt ("accepted for import, not yet imported").
    """

    record_id: str | None = None
    unchanged: bool = False
    is_confirmed: bool = False
    note: str | None = None


class Postponed(msgspec.Struct, frozen=True, kw_only=True):
    """
    It was not carried out, and may succeed later: the subscriber is away, slow or asks to wait.

    *retry_after_seconds* is the wait the subscriber asked for, None where it asked for none. *subscriber_is_away*
    tells a subscriber that is down (connection errors, 502 to 504) from a lone failure (500). *in_doubt* says
    that it may have been carried out all the same (an error of the server amid a write): the next try has
    `OutboundRecord.outcome_unknown` set, and waits for the settling time unless it was a `subscriber_error`.
    """

    code: str
    message: str
    failure_class: FailureClass = "unavailable"
    retry_after_seconds: float | None = None
    subscriber_is_away: bool = False
    in_doubt: bool = False

    @property
    def message_with_wait(self) -> str:
        """The message, and how long the subscriber asks to wait, for a person who waits for it."""
        if self.retry_after_seconds is None:
            return self.message
        return f"{self.message} It asks to wait {in_words(self.retry_after_seconds)}."


def in_words(seconds: float) -> str:
    """A span of time for a person, rounded up: `1 second`, `90 seconds`, `3 minutes`."""
    whole = math.ceil(seconds)
    if whole <= MOST_SECONDS_IN_WORDS:
        return f"{whole} second{'' if whole == 1 else 's'}"
    return f"{math.ceil(whole / 60)} minutes"


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """
    It will not succeed by itself: a person must mend the data, the template, the identity or the subscriber.

    The code `credentials_refused` pauses the subscriber until its credentials are mended; the delivery then goes out by
    itself. *stops_subscription* says that the subscriber wants nothing more from this subscription (410).
    """

    code: str
    message: str
    failure_class: FailureClass = "refused"
    stops_subscription: bool = False


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """
    The request went out and its outcome is not known (time-out or cut line after it was sent).

    *code* says why, and *message* what that means for this one; *about_subscriber* is the sentence for the pause, None
    where *message* suits it.

    The next attempt calls `send` with `OutboundRecord.outcome_unknown` set, and not before the settling time has
    passed. With *is_final* no attempt follows: the subscriber cannot be asked and would take the record twice, so a
    person has to decide.
    """

    code: str
    message: str
    about_subscriber: str | None = None
    subscriber_is_away: bool = True
    is_final: bool = False


Outcome = Accepted | Postponed | Refused | Unknown


class ParticipantFound(msgspec.Struct, frozen=True):
    """Exactly one active participant: *participant_id* is its id at the subscriber."""

    participant_id: str


ParticipantResult = ParticipantFound | Postponed | Refused


class OutboundRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    One delivery, ready to go.

    *payload* is what the template gave: JSON values; numbers with a fraction are `decimal.Decimal` and keep their
    spelling (`write_json` of model.json_values writes it so). It is empty for a removal where the kind of subscriber
    does not ask for it (`Kind.removal_has_payload`). *participant_id* is the participant's id at the subscriber, empty
    where the kind resolves none. *record_key* is the
    hub's own key of the source record at this subscription: 36 characters, the same over all revisions.
    *record_id* is the identity an earlier delivery of the same source record got, None where there was none.
    *outcome_unknown* says that an earlier try may have been carried out: ask the subscriber before writing.
    *others_record_ids* are the identities that belong to other source records, of any subscription of this
    subscriber, where the target has no column for the record key; None where the hub did not look.
    """

    delivery_id: str
    action: Literal["send", "remove"]
    target: Mapping[str, Any]
    payload: Mapping[str, Any]
    participant_id: str
    record_key: str
    record_id: str | None = None
    outcome_unknown: bool = False
    others_record_ids: frozenset[str] | None = None


class Exchange(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One HTTP request and its answer as kept with an attempt, secrets removed; bodies as text, cut at 64 KiB."""

    method: str
    url: str
    headers: dict[str, str]
    body: str | None
    status: int | None = None
    response_headers: dict[str, str] = {}
    response_body: str | None = None
    started_utc: datetime | None = None


class Recorder(Protocol):
    """Takes down each exchange of a try; the last one that wrote, or else the last, is kept with the attempt."""

    def record(self, exchange: Exchange, *, wrote: bool) -> None:
        """Take down one exchange; *wrote* is true for a request meant to change something at the subscriber."""


class TemplateProblem(msgspec.Struct, frozen=True):
    """Something in a template that this target cannot take: *place* within the template, keys joined with dots."""

    place: str
    message: str


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a subscription asks of its subscriber.

    *templates* are those that may be used: the keys at the top of each, with the value where it is the same for every
    event, and UNSET where the event says it.
    """

    subscription_id: str
    target: Mapping[str, Any]
    templates: Sequence[Mapping[str, Any]] = ()


class Finding(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """
    One thing that a check looked at.

    *subject* is a word for programs (`panel`), and *name* which of them, empty where there is one. *state* is `look`
    where a person should look without anything being broken. *message* and *advice*, which is empty where nothing is
    to be done, are sentences. *subscription_ids* are those that it is about, empty where it is about all. *steps* are
    what to do beyond that, in order.
    """

    subject: str
    name: str = ""
    state: Literal["fine", "look", "wrong"] = "fine"
    message: str
    advice: str = ""
    subscription_ids: list[str] = []
    steps: list[str] = []

    @property
    def is_in_the_way_of_all(self) -> bool:
        """Whether nothing can be delivered to the subscriber until this is mended."""
        return self.state == "wrong" and not self.subscription_ids


class CheckResult(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """
    What a check of the subscriber found.

    *works* says that nothing is wrong; *findings* are sentences for a person, and *details* the same for programs.
    """

    works: bool
    findings: list[str]
    details: list[Finding] = []

    @classmethod
    def of(cls, *details: Finding) -> CheckResult:
        """The result of a check that looked at all this."""
        return cls(
            works=all(one.state != "wrong" for one in details),
            findings=[f"{one.message} {one.advice}".rstrip() for one in details],
            details=[*details],
        )

    @property
    def is_open(self) -> bool:
        """Whether the subscriber takes something, though maybe not for every subscription."""
        return not any(one.is_in_the_way_of_all for one in self.details)


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """Credentials ready to be stored; *made* are those of them that the hub made itself, to be shown this once."""

    credentials: dict[str, Any]
    made: dict[str, str] = {}


class CredentialsLock(Protocol):
    """
    The one who renews a subscriber's credentials, in whichever process; the others wait for their turn.

    For credentials that are used up by use, such as a refresh token that is good for once.
    """

    async def read(self) -> Mapping[str, Any]:
        """The credentials as they are stored now."""

    async def keep(self, credentials: Mapping[str, Any]) -> None:
        """Let *credentials* take the place of those read last, unless an administrator gave others meanwhile."""


TakeTurn = Callable[[], AbstractAsyncContextManager[CredentialsLock]]


class Difference(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A field of a record in which the subscriber holds something else than what was sent; both as JSON values."""

    field: str
    sent: Any
    held: Any


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscriber holds of a outbound: *record_id* is None where there is no record."""

    record_id: str | None
    differences: list[Difference]


class Connector(Protocol):
    """Speaks one subscriber's protocol with one set of credentials; safe for concurrent use on one event loop."""

    async def find_participant(self, publisher_participant_id: str, recorder: Recorder) -> ParticipantResult:
        """Who the publisher's participant is at this subscriber, by the subscriber's `ParticipantLookup`."""

    async def send(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:
        """Bring the payload there: as a new record, or as an update of the source record's one."""

    async def remove(self, outbound: OutboundRecord, recorder: Recorder) -> Outcome:
        """Take back the source record's record; already gone counts as accepted, unchanged."""

    async def check(self, needs: Sequence[Needs] = ()) -> CheckResult:
        """Sign in, look whether there is what the subscriptions ask for, write nothing."""

    async def close(self) -> None:
        """Let go of connections."""


class Comparing(Protocol):
    """A connector that can be asked what the subscriber holds (`Kind.can_compare`)."""

    async def compare(self, outbound: OutboundRecord, recorder: Recorder) -> Comparison | Postponed | Refused | Unknown:
        """How the source record's record stands there beside the outbound; an outcome where it cannot be asked."""


class Batching(Protocol):
    """A connector that sends many at once (`Kind.batch`)."""

    async def send_many(self, outbounds: Sequence[OutboundRecord], recorder: Recorder) -> Sequence[Outcome]:
        """Bring the payloads there in one request; an outcome for each, in order. All have the same target."""

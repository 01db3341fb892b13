"""
A subscriber in memory, for walks at random.

It doubles what it is told to make twice, and a request whose line was cut may still arrive much later.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from learning_hub.model.circuit_breaker import SubscriberFailure
from learning_hub.model.claimed_delivery import ClaimedDelivery, Completion
from learning_hub.model.clock import now

# Longer than a walk takes: the time is over when the walk says so.
SETTLE_SECONDS = 1000

End = Literal["accepted", "refused", "failed", "cut", "timed out"]
Fate = Literal["carried out", "lost", "on its way"]


class Request(NamedTuple):
    """
    What a worker asks of the subscriber.

    *seq* is that of the event. *changes*: the worker has asked before, and found a record to change; otherwise the
    request makes one.
    """

    source: str
    seq: int
    removes: bool
    changes: bool


class MadeUpSubscriber:
    """
    Keeps of each source record the seq of the event that it was written from; more than one is a doubled record.

    *on_the_way* are requests whose line was cut: each may still be carried out until the settling time is over.
    """

    def __init__(self) -> None:
        self.records: dict[str, list[int]] = {}
        self.on_the_way: list[Request] = []
        self.is_away = False
        self.refuses_credentials = False

    @property
    def is_well(self) -> bool:
        return not self.is_away and not self.refuses_credentials

    def send(self, lease: ClaimedDelivery, seq: int, end: End, fate: Fate) -> Completion:
        """
        How a try ends.

        Args:
            lease: Of the delivery.
            seq: Of its event.
            end: What the subscriber says to the request, if it is well.
            fate: What becomes of a request that is cut, or timed out, which also tells that the subscriber is away.
        """
        if self.is_away:
            return _failed(lease, "retrying", "connection_failed", failure=_away("connection_failed", 5.0))
        if self.refuses_credentials:
            return _failed(lease, "parked", "credentials_refused", failure=_away("credentials_refused", None))
        if end == "accepted":
            self.take(lease, seq, "carried out")
            return Completion(state="delivered", attempts_used=lease.attempts_used)
        if end in ("cut", "timed out"):
            self.take(lease, seq, fate)
            failure = _away("timed_out", 5.0) if end == "timed out" else None
            return _failed(lease, "retrying", "outcome_unknown", failure=failure, doubt_seconds=SETTLE_SECONDS)
        return _failed(lease, "parked" if end == "refused" else "retrying", "refused")

    def take(self, lease: ClaimedDelivery, seq: int, fate: Fate) -> None:
        """Take a request; as a connector does, the worker has asked first where there was a try before."""
        request = Request(
            source=lease.publisher_event_id,
            seq=seq,
            removes=lease.action == "remove",
            changes=lease.tried_before and bool(self.records.get(lease.publisher_event_id)),
        )
        if fate == "carried out":
            self._carry_out(request)
        elif fate == "on its way":
            self.on_the_way.append(request)

    def arrives(self, request: Request) -> None:
        """One that was on its way is carried out, whatever happened since."""
        self.on_the_way.remove(request)
        self._carry_out(request)

    def _carry_out(self, request: Request) -> None:
        held = self.records.setdefault(request.source, [])
        if request.removes:
            held.clear()
        elif request.changes:
            held[:] = [request.seq]
        else:
            held.append(request.seq)


def _away(code: str, first_probe_seconds: float | None) -> SubscriberFailure:
    return SubscriberFailure(
        code=code, failure_class="unavailable", message="Away.", first_probe_seconds=first_probe_seconds
    )


def _failed(
    lease: ClaimedDelivery,
    state: Literal["retrying", "parked"],
    code: str,
    *,
    failure: SubscriberFailure | None = None,
    doubt_seconds: float | None = None,
) -> Completion:
    return Completion(
        state=state,
        code=code,
        failure_class="refused" if code == "refused" else "unavailable",
        message="No.",
        due_utc=now() if state == "retrying" else None,
        attempts_used=lease.attempts_used + 1,
        in_doubt=doubt_seconds is not None,
        doubt_seconds=doubt_seconds,
        subscriber_failure=failure,
    )

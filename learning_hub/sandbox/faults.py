"""
Faults: what the sandbox does wrong on request.

Each call to the iMIS API is held against the faults in the order of posting; the first that matches and fires
decides. A fault comes before anything else, the check of the token included.

    429 500 503 …   answers with this status and a text; nothing is carried out
    refuse          answers 400 with a validation error; nothing is carried out
    rubbish         answers 200 with a page of HTML; nothing is carried out
    slow            carries the request out at once and answers *Seconds* later
    late            waits *Seconds*, then carries the request out, even when the caller has gone meanwhile
    hold            carries the request out at once and answers when the fault is deleted
    cut-before      closes the connection without an answer; nothing is carried out
    cut-after       carries the request out, then closes the connection without an answer
    forget-tokens   forgets every token, then goes on: an /api call with a token gets 401
"""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random
from typing import Any

FAULTS = ("slow", "late", "hold", "refuse", "rubbish", "cut-before", "cut-after", "forget-tokens")
STATUSES = (401, 403, 404, 408, 409, 413, 429, 500, 501, 502, 503, 504)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
DEFAULT_SECONDS = 5.0
# Later than an impatient caller waits, and sooner than it may send again: 2 seconds each are usual in tests.
DEFAULT_SECONDS_LATE = 3.0


@dataclass(slots=True)
class Fault:
    """
    One fault.

    Attributes:
        kind: A word of `FAULTS` or a status as text.
        method: Calls of this method alone, upper case; None for all.
        path: Calls whose path starts with this or, with a `*` in it, matches it as a whole; None for all.
            Compared decoded, in lower case, below the base path.
        times: How many calls it still hits; None for no end.
        share: Share of the matching calls that it hits, 0 to 1, by chance; the same chances at each posting.
        retry_after: Sent as `Retry-After` with a status.
        seconds: The wait of slow (5 unless given) and late (3 unless given).
        fired: How many calls it has hit.
    """

    kind: str
    method: str | None = None
    path: str | None = None
    times: int | None = None
    share: float = 1.0
    retry_after: str | None = None
    seconds: float = DEFAULT_SECONDS
    fired: int = 0
    chance: Random = field(default_factory=lambda: Random(7))  # noqa: S311 - repeatable on purpose.

    def fires(self, method: str, path: str) -> bool:
        """Whether it hits this call; a call that it could hit and chance spares uses up none of its times."""
        if self.times is not None and self.fired >= self.times:
            return False
        if not self._matches(method, path.casefold()):
            return False
        if self.share < 1 and self.chance.random() >= self.share:
            return False
        self.fired += 1
        return True

    def _matches(self, method: str, path: str) -> bool:
        if self.method is not None and self.method != method:
            return False
        if self.kind == "forget-tokens" and not path.startswith("/api"):
            # At the token endpoint there is nothing to be denied.
            return False
        if self.path is None:
            return True
        return fnmatchcase(path, self.path) if "*" in self.path else path.startswith(self.path)

    def as_json(self) -> dict[str, Any]:
        return {
            "Fault": self.kind,
            "Method": self.method,
            "Path": self.path,
            "Times": self.times,
            "Share": self.share,
            "RetryAfter": self.retry_after,
            "Seconds": self.seconds,
            "Fired": self.fired,
        }


class Faults:
    """The faults in force, in the order of posting."""

    def __init__(self) -> None:
        self.posted: list[Fault] = []

    def clear(self, kind: str | None = None) -> None:
        """Delete the faults of a kind, a word of `FAULTS` or a status as text; all where it is None."""
        self.posted = [fault for fault in self.posted if kind not in (None, fault.kind)]

    def holds(self, fault: Fault) -> bool:
        """Whether this very fault is still posted."""
        return any(posted is fault for posted in self.posted)

    def pick(self, method: str, path: str) -> Fault | None:
        """The fault that hits this call, if one does."""
        return next((fault for fault in self.posted if fault.fires(method, path)), None)


def read_fault(sent: Any) -> Fault:
    """
    A fault as posted; all members but `Fault` are optional, names in any case.

    Raises:
        ValueError: Something in it is wrong; the sentence says what.
    """
    if not isinstance(sent, dict):
        raise ValueError("A fault is a JSON object.")  # noqa: TRY004 - as all that is wrong here.
    given = {name.casefold(): value for name, value in sent.items() if value is not None}
    unknown = given.keys() - {"fault", "method", "path", "times", "share", "retryafter", "seconds"}
    if unknown:
        msg = f"A fault has no {', '.join(sorted(unknown))}."
        raise ValueError(msg)
    kind = str(given.get("fault", "")).casefold()
    if kind not in FAULTS and kind not in map(str, STATUSES):
        msg = f"Fault must be one of {', '.join([*FAULTS, *map(str, STATUSES)])}."
        raise ValueError(msg)
    seconds = DEFAULT_SECONDS_LATE if kind == "late" else DEFAULT_SECONDS
    # Forgetting tokens at every call would let nobody in again, so it happens once unless told otherwise.
    times = given.get("times", 1 if kind == "forget-tokens" else None)
    return Fault(
        kind=kind,
        method=_method(given.get("method")),
        path=_path(given.get("path")),
        times=None if times is None else _times(times),
        share=_number("Share", given.get("share", 1), 0, 1),
        retry_after=_retry_after(given.get("retryafter")),
        seconds=_number("Seconds", given.get("seconds", seconds), 0, 3600),
    )


def _method(sent: Any) -> str | None:
    if sent in (None, "*"):
        return None
    if not isinstance(sent, str) or sent.upper() not in METHODS:
        msg = f"Method must be * or one of {', '.join(METHODS)}."
        raise ValueError(msg)
    return sent.upper()


def _times(sent: Any) -> int:
    number = _number("Times", sent, 0, 10**9)
    if number != int(number):
        raise ValueError("Times must be a whole number.")
    return int(number)


def _retry_after(sent: Any) -> str | None:
    """Seconds or a date, as it goes into the header; not judged further, since real servers send odd ones."""
    if sent is None:
        return None
    if isinstance(sent, bool) or not isinstance(sent, str | int) or not str(sent).isprintable():
        raise ValueError("RetryAfter must be a number of seconds or a date as text.")
    return str(sent)


def _path(sent: Any) -> str | None:
    if sent is None:
        return None
    if not isinstance(sent, str) or not sent.strip():
        raise ValueError("Path must be the beginning of a path as text, or a pattern with *.")
    path = sent.strip().casefold()
    return path if path.startswith(("/", "*")) else f"/{path}"


def _number(name: str, sent: Any, least: float, most: float) -> float:
    """*sent* as a number within the bounds; a boolean is none."""
    try:
        value = float("nan" if isinstance(sent, bool) else sent)
    except (TypeError, ValueError):
        value = float("nan")
    if not least <= value <= most:
        msg = f"{name} must be a number from {least} to {most}."
        raise ValueError(msg)
    return value

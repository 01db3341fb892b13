"""
Faults: failures of the sandbox on request (fault injection).

Each request to the iMIS API is compared with the faults in the order of posting; the first fault that matches and
fires decides. Faults are applied before the token is checked.

    302 429 503 …   answers with this status and a text; the request is not carried out; a 3xx leads to /maintenance
    refuse          answers 400 with a validation error; the request is not carried out
    rubbish         answers 200 with an HTML page; the request is not carried out
    slow            carries the request out at once and answers *Seconds* later
    late            waits *Seconds*, then carries the request out, even if the client has disconnected meanwhile
    hold            carries the request out at once and answers when the fault is deleted
    cut-before      closes the connection without a response; the request is not carried out
    cut-after       carries the request out, then closes the connection without a response
    forget-tokens   revokes every token, then carries on: an /api request with a token gets 401
"""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random
from typing import Any

FAULTS = ("slow", "late", "hold", "refuse", "rubbish", "cut-before", "cut-after", "forget-tokens")
STATUSES = (301, 302, 303, 307, 308, 401, 403, 404, 408, 409, 413, 429, 500, 501, 502, 503, 504)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
DEFAULT_SECONDS = 5.0
# Tests usually let a client wait 2 seconds for a response and 2 more before it sends again; this lies in between.
DEFAULT_SECONDS_LATE = 3.0


@dataclass(slots=True)
class Fault:
    """
    One fault.

    Attributes:
        kind: A member of `FAULTS` or a status as text.
        method: The method of the requests it hits, upper case; None for all.
        path: A prefix or, with a `*` in it, a pattern of the paths it hits; None for all.
            Compared decoded, in lower case, below the base path.
        times: The number of requests it hits in all; None for no limit.
        share: The share of the matching requests that it hits at random, 0 to 1; each posting repeats the sequence.
        retry_after: Sent as `Retry-After` with a status.
        seconds: The delay of slow (default 5) and late (default 3).
        fired: The number of requests it has hit.
    """

    kind: str
    method: str | None = None
    path: str | None = None
    times: int | None = None
    share: float = 1.0
    retry_after: str | None = None
    seconds: float = DEFAULT_SECONDS
    fired: int = 0
    random: Random = field(default_factory=lambda: Random(7))  # noqa: S311 - a fixed seed makes it repeatable.

    def fires(self, method: str, path: str) -> bool:
        """Whether it hits this request; a request that *share* spares does not count towards *times*."""
        if self.times is not None and self.fired >= self.times:
            return False
        if not self._matches(method, path.casefold()):
            return False
        if self.share < 1 and self.random.random() >= self.share:
            return False
        self.fired += 1
        return True

    def _matches(self, method: str, path: str) -> bool:
        if self.method is not None and self.method != method:
            return False
        if self.kind == "forget-tokens" and not path.startswith("/api"):
            # The token endpoint needs no token.
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
    """The posted faults, in the order of posting."""

    def __init__(self) -> None:
        self.posted: list[Fault] = []

    def clear(self, kind: str | None = None) -> None:
        """Delete the faults of *kind*, a member of `FAULTS` or a status as text; all faults where it is None."""
        self.posted = [fault for fault in self.posted if kind not in (None, fault.kind)]

    def is_posted(self, fault: Fault) -> bool:
        """Whether this very object is still posted; an equal fault does not count."""
        return any(posted is fault for posted in self.posted)

    def match(self, method: str, path: str) -> Fault | None:
        """The fault that hits this request, if any; counts the hit."""
        return next((fault for fault in self.posted if fault.fires(method, path)), None)


def read_fault(sent: Any) -> Fault:
    """
    The fault in a posted JSON value; all members but `Fault` are optional, and names may have any letter case.

    Raises:
        ValueError: A member is not allowed; the message names it.
    """
    if not isinstance(sent, dict):
        raise ValueError("A fault is a JSON object.")  # noqa: TRY004 - callers catch one error type.
    members = {name.casefold(): value for name, value in sent.items() if value is not None}
    unknown = members.keys() - {"fault", "method", "path", "times", "share", "retryafter", "seconds"}
    if unknown:
        msg = f"A fault has no {', '.join(sorted(unknown))}."
        raise ValueError(msg)
    kind = str(members.get("fault", "")).casefold()
    if kind not in FAULTS and kind not in map(str, STATUSES):
        msg = f"Fault must be one of {', '.join([*FAULTS, *map(str, STATUSES)])}."
        raise ValueError(msg)
    seconds = DEFAULT_SECONDS_LATE if kind == "late" else DEFAULT_SECONDS
    # No client could sign in again if every request revoked the tokens, so the default is once.
    times = members.get("times", 1 if kind == "forget-tokens" else None)
    return Fault(
        kind=kind,
        method=_method(members.get("method")),
        path=_path(members.get("path")),
        times=None if times is None else _times(times),
        share=_number("Share", members.get("share", 1), 0, 1),
        retry_after=_retry_after(members.get("retryafter")),
        seconds=_number("Seconds", members.get("seconds", seconds), 0, 3600),
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
    """Seconds or a date for the header; any printable text is allowed, because real servers send odd values."""
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
    """*sent* as a number within the bounds; a boolean is not a number."""
    try:
        value = float("nan" if isinstance(sent, bool) else sent)
    except (TypeError, ValueError):
        value = float("nan")
    if not least <= value <= most:
        msg = f"{name} must be a number from {least} to {most}."
        raise ValueError(msg)
    return value

"""
HTTP responses and the meaning of their statuses, shared by all connectors.

    StatusMeanings        what a kind of subscriber declares if the common meaning does not apply
    classify              the outcome of a response
    not_answered          the outcome without a complete response, for a request that can be repeated
    postponed             the outcome of a response after which a later attempt may succeed
    retry_after_seconds   the wait that the subscriber asks for
    describe_response     a response as the end of a sentence
    shorten               text on one line, of limited length

Source: the hub's contract, section 6.
"""

from __future__ import annotations

import math
import re
from datetime import MAXYEAR, UTC, datetime
from email.utils import parsedate_to_datetime, parsedate_tz

import msgspec

from learning_hub.connectors.http import HttpResponse, NotSent, OutcomeUnknown
from learning_hub.connectors.outcomes import Accepted, Outcome, Postponed, Refused
from learning_hub.model.clock import now
from learning_hub.model.retry import LONGEST_ASKED_WAIT_SECONDS

LONGEST_TEXT = 500
# By the first letter, in seconds; milliseconds are taken for minutes, which is longer.
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
# The statuses that mean that the whole subscriber is away, and the code of each.
AWAY = {502: "connection_failed", 503: "connection_failed", 504: "timed_out"}


class StatusMeanings(msgspec.Struct, frozen=True, kw_only=True):
    """
    The meaning of the statuses of a kind of subscriber.

    A status of *already_there* means that the subscriber already has the record, which is a success. A status of
    *credentials_refused* means that a person must fix the credentials. A status of *gone* means that the subscriber
    wants no further events of the subscription. All other statuses have the common meaning: 2xx is a success; 408, 425,
    429, 5xx except 501, and numbers that are no final status may pass; the rest are refusals.
    """

    already_there: frozenset[int] = frozenset()
    credentials_refused: frozenset[int] = frozenset((401, 403))
    gone: frozenset[int] = frozenset()


def classify(response: HttpResponse, message: str, *, wrote: bool, meanings: StatusMeanings) -> Outcome:
    """
    The outcome of a response, by its status.

    Args:
        response: Any complete response.
        message: The message of an outcome that is not a success.
        wrote: Whether the request was to change something; some statuses then leave open whether it did.
        meanings: The meanings for the kind of subscriber (`Kind.statuses`).
    """
    status = response.status
    if response.is_success:
        return Accepted()
    if status in meanings.already_there:
        return Accepted(unchanged=True)
    if status in meanings.gone:
        return Refused(code="gone", message=message, stops_subscription=True)
    return classify_failure(response, message, wrote=wrote, meanings=meanings)


def classify_failure(
    response: HttpResponse, message: str, *, wrote: bool, meanings: StatusMeanings
) -> Postponed | Refused:
    """The outcome of a response that is not a success; arguments as for `classify`."""
    if response.status in meanings.credentials_refused:
        return Refused(code="credentials_refused", message=message)
    return postponed(response, message, wrote=wrote) or Refused(code="refused", message=message)


def postponed(response: HttpResponse, message: str, *, wrote: bool) -> Postponed | None:
    """
    The outcome of a response after which a later attempt may succeed; None for a success, or if no later attempt will.

    Args:
        response: Any complete response.
        message: The message of the outcome.
        wrote: Whether the request was to change something; some statuses then leave open whether it did.
    """
    status, wait = response.status, retry_after_seconds(response)
    if status == 429:
        return Postponed(code="rate_limited", message=message, retry_after_seconds=wait)
    if status == 408:
        return Postponed(code="timed_out", message=message, retry_after_seconds=wait, in_doubt=wrote)
    if status in AWAY:
        return Postponed(
            code=AWAY[status],
            message=message,
            retry_after_seconds=wait,
            subscriber_is_away=True,
            # A gateway that gave up does not know whether the server behind it carried out the request.
            in_doubt=wrote and status != 503,
        )
    if status == 425 or is_of_server(status):
        in_doubt = wrote and status != 425
        return Postponed(code="subscriber_error", message=message, retry_after_seconds=wait, in_doubt=in_doubt)
    return None


def is_of_server(status: int) -> bool:
    """
    Whether the server failed, which may pass: 5xx except 501, and what is no status of a final response.

    RFC 9110, section 15: a status that is none has the meaning of 5xx.
    """
    return (status >= 500 and status != 501) or status < 200


def not_answered(result: NotSent | OutcomeUnknown, subscriber: str) -> Postponed:
    """The outcome without a complete response, for a request that is sent again even if it may have arrived."""
    return Postponed(
        code=result.code,
        message=f"The hub got no answer from {subscriber}. {result.message}",
        subscriber_is_away=True,
        in_doubt=isinstance(result, OutcomeUnknown),
    )


def retry_after_seconds(response: HttpResponse) -> float | None:
    """
    The wait that `Retry-After` asks for, as seconds or as a date, 0 to `LONGEST_ASKED_WAIT_SECONDS`.

    None if it is absent, negative, or no number and no date; the usual waits are kept then.
    """
    value = response.headers.get("retry-after", "").strip().strip('"')
    wait = _seconds_in(value)
    if wait is None:
        wait = _seconds_until(value)
    return None if wait is None else min(max(0.0, wait), LONGEST_ASKED_WAIT_SECONDS)


def _seconds_in(value: str) -> float | None:
    """A number of seconds, of any size, also with a unit that some servers add, or the first of several."""
    found = re.match(r"(\+?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?) *([a-z]*)(?:[,;]|$)", value.lower())
    unit = _UNITS.get(found[2][:1]) if found else None
    return float(found[1]) * unit if found and unit else None


def _seconds_until(value: str) -> float | None:
    """The seconds until a date of HTTP, or of ISO 8601; endless where the year has no calendar."""
    parts = parsedate_tz(value)
    if parts is not None and parts[0] > MAXYEAR:
        return math.inf
    try:
        until = datetime.fromisoformat(value) if parts is None else parsedate_to_datetime(value)
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return (until - now()).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def describe_response(response: HttpResponse, reason: str | None = None) -> str:
    """`400, the reason that the subscriber gave.`; *reason* is given if its protocol has a field for it."""
    if reason is None:
        reason = _text_reason(response)
    if 300 <= response.status < 400 and (location := shorten(response.headers.get("location", ""))):
        reason = f"it points to {location}, and the hub follows no redirects"
    return f"{response.status}, {reason.rstrip('.')}." if reason else f"{response.status}."


def shorten(text: str) -> str:
    """*text* on one line, cut if it is long, and without NUL, which the database does not store."""
    text = " ".join(text.replace("\0", "\N{REPLACEMENT CHARACTER}").split())
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def is_page(response: HttpResponse) -> bool:
    """Whether the body is a page for people, such as the error pages of proxies."""
    return "html" in response.headers.get("content-type", "").lower() or response.text.lstrip()[:1] == "<"


def _text_reason(response: HttpResponse) -> str:
    return "an HTML page" if is_page(response) else shorten(response.text.strip().strip('"'))

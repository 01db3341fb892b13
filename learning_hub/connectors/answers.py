"""
What an answer over HTTP says, for every connector that has no better way to read it.

    postponed             the outcome of an answer after which another try may succeed
    retry_after_seconds   how long the subscriber asks to wait
    told                  an answer in words: the end of a sentence
    shorten               words on one line, of bearable length

Source: the hub's contract, section 6.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

from learning_hub.connectors.base import Postponed
from learning_hub.connectors.http import Answer
from learning_hub.model.clock import now

LONGEST_WORDS = 500
# The answers that say that a subscriber is away as a whole, and the code of each.
AWAY = {502: "connection_failed", 503: "connection_failed", 504: "timed_out"}


def postponed(answer: Answer, message: str, *, wrote: bool) -> Postponed | None:
    """
    The outcome of an answer after which another try may succeed; None where it will not, or where it is a success.

    Args:
        answer: Any.
        message: For the outcome.
        wrote: Whether something was to be changed; then some answers leave open whether it was.
    """
    status, wait = answer.status, retry_after_seconds(answer)
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
            # A gateway that gave up does not know what became of the request behind it.
            in_doubt=wrote and status != 503,
        )
    if status == 425 or (status >= 500 and status != 501):
        in_doubt = wrote and status >= 500
        return Postponed(code="subscriber_error", message=message, retry_after_seconds=wait, in_doubt=in_doubt)
    return None


def retry_after_seconds(answer: Answer) -> float | None:
    """The wait that `Retry-After` asks for, as seconds or as a date; None where there is none to be read."""
    said = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", said):
        return float(said)
    try:
        until = parsedate_to_datetime(said)
    except (ValueError, TypeError, IndexError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - now()).total_seconds())


def told(answer: Answer, words: str | None = None) -> str:
    """`400, the reason in the subscriber's words.`; *words* where its protocol has a place for them."""
    if words is None:
        words = _plain_words(answer)
    if 300 <= answer.status < 400 and (place := shorten(answer.headers.get("location", ""))):
        words = f"it points to {place}, and the hub follows no redirects"
    return f"{answer.status}, {words.rstrip('.')}." if words else f"{answer.status}."


def shorten(text: str) -> str:
    """*text* on one line, cut where it is long, and without NUL, which a database does not take."""
    text = " ".join(text.replace("\0", "\N{REPLACEMENT CHARACTER}").split())
    return text if len(text) <= LONGEST_WORDS else f"{text[:LONGEST_WORDS]}…"


def is_page(answer: Answer) -> bool:
    """Whether it is a page for people, as a proxy writes it."""
    return "html" in answer.headers.get("content-type", "").lower() or answer.text.lstrip()[:1] == "<"


def _plain_words(answer: Answer) -> str:
    return "an HTML page" if is_page(answer) else shorten(answer.text.strip().strip('"'))

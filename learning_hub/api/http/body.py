"""Receive the body of a request, within limits of size and time; and the errors for bodies that are not accepted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from litestar.types import Receive

from learning_hub.model.errors import InvalidInput, NotJson, TooLarge

# A slow body must not hold its share of the body budget for hours: the largest batch has a quarter of an hour at this
# rate.
SLOWEST_BYTES_PER_SECOND = 16 * 1024


async def receive_body(receive: Receive, limit: int, *, stalls_after_seconds: float | None = None) -> bytes:
    """
    The whole body as sent.

    Raises:
        TooLarge: The body is over *limit* bytes; the rest is not read.
        InvalidInput: The body broke off, no byte arrived for *stalls_after_seconds*, or, after that time, the average
            fell below SLOWEST_BYTES_PER_SECOND.
    """
    pieces: list[bytes] = []
    size = 0
    is_whole = False
    began = time.monotonic()
    while not is_whole:
        if stalls_after_seconds is None:
            message: Mapping[str, Any] = await receive()
        else:
            late = began + stalls_after_seconds + size / SLOWEST_BYTES_PER_SECOND - time.monotonic()
            message = await _receive_within(receive, min(stalls_after_seconds, late))
        if message["type"] == "http.disconnect":
            # The caller closed the connection. Nobody reads the response, and the hub has not failed.
            raise InvalidInput("The body broke off.", code="body_broke_off")
        size += len(message["body"])
        if size > limit:
            raise TooLarge(f"The body is over the limit of {limit} bytes.")
        pieces.append(message["body"])
        is_whole = not message["more_body"]
    return b"".join(pieces)


async def _receive_within(receive: Receive, seconds: float) -> Mapping[str, Any]:
    try:
        async with asyncio.timeout(seconds):
            return await receive()
    except TimeoutError:
        raise InvalidInput("The body came too slowly, or no longer.", code="body_broke_off") from None


def not_json(declared: str, taken: tuple[str, ...]) -> NotJson:
    """The error for a body that is *declared* as none of those *taken*."""
    return NotJson(f"The body must be JSON ({' or '.join(taken)}), not {declared[:100]}.")


def body_not_taken() -> InvalidInput:
    """The error for a body where none is read."""
    return InvalidInput(
        "This operation takes no body, and does not read the one that was sent. Send options as query parameters, "
        "where the operation has any.",
        code="body_not_taken",
    )


def body_too_large(size: int, limit: int) -> TooLarge:
    """The error for a body of *size* bytes, which is over the *limit*."""
    return TooLarge(f"The body has {size} bytes; the limit is {limit}.")

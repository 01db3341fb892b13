"""Receive the body of a request, within limits of size and time; and the errors for bodies that are not accepted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from learning_hub.api.http.body_budget import Body, BodyBudget
from learning_hub.model.errors import InvalidInput, NotJson, TooLarge, TooSlow

# The largest batch has a quarter of an hour at this rate. The protocol holds all bodies to a rate of their own.
SLOWEST_BATCH_BYTES_PER_SECOND = 16 * 1024

# Receives a message of a request; raises TooSlow.
Receiver = Callable[[], Awaitable[Mapping[str, Any]]]


async def receive_body(receive: Receiver, limit: int, *, held: Body | None, budget: BodyBudget, key_id: str) -> bytes:
    """
    The whole body as sent.

    Args:
        receive: Receives the next piece.
        limit: The most bytes.
        held: What counts its bytes after it was received as well; None if they count only until then.
        budget: Limits what is received.
        key_id: The key of the request; "" if it needs none.

    Raises:
        TooLarge: The body is over *limit* bytes; the rest is not read.
        InvalidInput: The body broke off.
        TooSlow: It came too slowly.
        TooManyBodies, Unavailable: Too much is being received.
    """
    message = await receive()
    _need_connection(message)
    first: bytes = message["body"]
    if len(first) > limit:
        raise _over(limit)
    if not message["more_body"]:
        if held:
            await held.grow(len(first))
        return first
    if held:
        return await _receive_rest(receive, first, limit, held)
    async with budget.body(key_id) as body:
        return await _receive_rest(receive, first, limit, body)


async def _receive_rest(receive: Receiver, first: bytes, limit: int, held: Body) -> bytes:
    pieces = [first]
    size = len(first)
    await held.grow(size)
    is_whole = False
    while not is_whole:
        message = await receive()
        _need_connection(message)
        piece: bytes = message["body"]
        size += len(piece)
        if size > limit:
            raise _over(limit)
        await held.grow(len(piece))
        pieces.append(piece)
        is_whole = not message["more_body"]
    return b"".join(pieces)


def within_rate(receive: Receiver, *, stalls_after_seconds: float) -> Receiver:
    """
    *receive* for a batch: it raises TooSlow when no byte arrives for *stalls_after_seconds*, or when the average after
    that time falls below SLOWEST_BATCH_BYTES_PER_SECOND.
    """
    began = time.monotonic()
    size = 0

    async def receive_in_time() -> Mapping[str, Any]:
        nonlocal size
        late = began + stalls_after_seconds + size / SLOWEST_BATCH_BYTES_PER_SECOND - time.monotonic()
        try:
            async with asyncio.timeout(min(stalls_after_seconds, late)):
                message = await receive()
        except TimeoutError:
            raise TooSlow from None
        size += len(message.get("body", b""))
        return message

    return receive_in_time


def _need_connection(message: Mapping[str, Any]) -> None:
    if message["type"] == "http.disconnect":
        # The caller closed the connection. Nobody reads the response, and the hub has not failed.
        raise InvalidInput("The body broke off.", code="body_broke_off")


def _over(limit: int) -> TooLarge:
    return TooLarge(f"The body is over the limit of {limit} bytes.")


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

"""Noticing that a hub went back in time: it does not have what was published to it before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from learning_hub.cli.failures import FailedError
from learning_hub.cli.publishing.client import RETRIED, describe_no_answer
from learning_hub.cli.publishing.progress_file import ProgressFile

# A hub that went back lacks what was published last. Connections answer out of order, so the last event alone could be
# there by chance.
NEWEST_LINES = 2000
ASKED_LINES = 20
WAIT_SECONDS = 1.0
OK = 200
NOT_FOUND = 404
TOO_MANY = 429


class _Validation(msgspec.Struct, frozen=True, rename="pascal"):
    would_be: str | None = None


async def lacks_published(
    client: httpx.AsyncClient,
    progress: ProgressFile,
    events: Iterable[tuple[int, bytes]],
    *,
    patience_seconds: float,
) -> bool:
    """
    Whether the hub lacks an event that was published to it before, judged by some of the newest.

    It lacks one that it would store as new. One that would be a revision may have been revised by somebody else since:
    the hub lacks it if its EventId is unknown, which is asked for with a key that may read.

    Args:
        client: Has the address of the hub and a key.
        progress: What was published before.
        events: Those of the file, with their numbers.
        patience_seconds: How long to retry while the hub is busy.

    Raises:
        FailedError: The hub does not answer.
    """
    newest = progress.newest(NEWEST_LINES)[::-1]
    asked = newest[:: max(1, len(newest) // ASKED_LINES)]
    wanted = set(asked)
    contents = {
        number: content
        for number, content in (events if wanted else ())
        if number in wanted and progress.has(number, content)
    }
    deadline = asyncio.get_running_loop().time() + patience_seconds
    for number in asked:
        if number not in contents:
            continue
        response = await _validate(client, contents[number])
        while response.status_code in RETRIED and asyncio.get_running_loop().time() < deadline:
            if response.status_code == TOO_MANY and number != asked[0]:
                # The newest was there; the others are not worth a long wait.
                return False
            await asyncio.sleep(WAIT_SECONDS)
            response = await _validate(client, contents[number])
        if response.status_code != OK:
            # A key that may not publish, or a line that is no longer valid: sending says what is wrong.
            return False
        would_be = _would_be(response)
        if would_be == "new" or (would_be == "revision" and await _is_unknown(client, progress.event_id(number))):
            return True
    return False


async def _validate(client: httpx.AsyncClient, content: bytes) -> httpx.Response:
    query, headers = {"ValidateOnly": "true"}, {"Content-Type": "application/json"}
    return await _send(client, "POST", "/events", params=query, content=content, headers=headers)


async def _is_unknown(client: httpx.AsyncClient, event_id: str) -> bool:
    """Whether the hub has no such event; not if the key may not read."""
    return (await _send(client, "GET", f"/events/{quote(event_id)}")).status_code == NOT_FOUND


async def _send(client: httpx.AsyncClient, method: str, path: str, **request: Any) -> httpx.Response:
    try:
        return await client.request(method, path, **request)
    except httpx.TransportError as error:
        raise FailedError(describe_no_answer(error, str(client.base_url).rstrip("/"))) from error


def _would_be(response: httpx.Response) -> str | None:
    try:
        return msgspec.json.decode(response.content, type=_Validation).would_be
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None

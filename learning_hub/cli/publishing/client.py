"""Batches of events sent to a hub over HTTP, and the meaning of its responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from learning_hub.cli.failures import FailedError

RETRIED = (429, 502, 503, 504)
LONGEST_RETRY_AFTER_SECONDS = 3600
PROBLEM = "application/problem+json"


class LaterError(Exception):
    """The hub does not accept the batch now; *retry_after_seconds* is how long it asks to wait."""

    def __init__(self, why: str, retry_after_seconds: float = 0) -> None:
        super().__init__(why)
        self.retry_after_seconds = retry_after_seconds


class TooLargeError(Exception):
    """The batch has more bytes than the hub, or a proxy before it, accepts."""


class Result(msgspec.Struct, frozen=True, rename="pascal"):
    """The hub's result for one event: with 200 and 201 its id, otherwise the problem."""

    status: int
    event_id: str = ""
    problem: dict[str, Any] = {}


class _Results(msgspec.Struct, frozen=True, rename="pascal"):
    results: list[Result]


class Batches:
    """Sends batches to a hub; *client* has its address and a key."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._address = str(client.base_url).rstrip("/")
        self._has_answered = False

    async def publish(self, events: Sequence[bytes]) -> list[Result]:
        """
        The hub's result for each of *events*, in order; each event is JSON on one line.

        Raises:
            LaterError: The hub is busy or away, and has answered before.
            TooLargeError: The events have too many bytes for one request.
            FailedError: The address is not that of a hub, the hub has never answered, or it refuses the key.
        """
        try:
            response = await self._client.post(
                "/events/batch", content=b"\n".join(events), headers={"Content-Type": "application/x-ndjson"}
            )
        except httpx.TransportError as error:
            why = describe_no_answer(error, self._address)
            if self._has_answered:
                raise LaterError(why) from error
            raise FailedError(why) from error
        self._has_answered = True
        if response.status_code == 200:
            return self._results(response, len(events))
        raise self._failure(response)

    def _results(self, response: httpx.Response, count: int) -> list[Result]:
        try:
            results = msgspec.json.decode(response.content, type=_Results).results
        except (msgspec.DecodeError, UnicodeDecodeError):
            results = []
        if len(results) != count:
            raise FailedError(f"{self._address} is not the address of a hub: its response to events is not a hub's.")
        return results

    def _failure(self, response: httpx.Response) -> Exception:
        """The error for a status of the whole batch."""
        status = f"{response.status_code} {response.reason_phrase}".strip()
        problem = _problem(response)
        if response.status_code in RETRIED:
            return LaterError(problem.get("detail") or f"{self._address} answers {status}.", _retry_after(response))
        if response.status_code == 413:
            return TooLargeError(problem.get("detail") or f"{self._address} answers {status}.")
        if problem and response.status_code != 404:
            return FailedError(str(problem["detail"]))
        redirect = f" It redirects to {location}." if (location := response.headers.get("location")) else ""
        return FailedError(f"{self._address} is not the address of a hub: it answers {status} to events.{redirect}")


def _problem(response: httpx.Response) -> dict[str, Any]:
    """The problem document of a response; empty if it has none."""
    if not response.headers.get("content-type", "").startswith(PROBLEM):
        return {}
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) and problem.get("detail") else {}


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return min(float(text), LONGEST_RETRY_AFTER_SECONDS) if text.isascii() and text.isdigit() else 0


def describe_no_answer(error: httpx.TransportError, address: str) -> str:
    """The sentence for a hub that gave no response."""
    return f"The hub at {address} does not answer: {_cause(error, address)}."


def _cause(error: httpx.TransportError, address: str) -> str:
    """The reason for no response, worded as the hub words it for its own subscribers."""
    from yarl import URL

    from learning_hub.connectors.connection_errors import describe_connection_error

    if isinstance(error, httpx.TimeoutException):
        return "it took too long"
    root: BaseException = error
    while (inner := root.__cause__ or root.__context__) is not None:
        root = inner
    if isinstance(root, OSError):
        return describe_connection_error(root, URL(address))
    return str(error).rstrip(".") or type(error).__name__

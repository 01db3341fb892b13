"""Batches of events as a hub takes them over HTTP, and what its answers mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from learning_hub.cli.failures import FailedError

AGAIN = (429, 502, 503, 504)
LONGEST_ASKED_SECONDS = 3600
PROBLEM = "application/problem+json"


class LaterError(Exception):
    """The hub does not take it now; *asked_seconds* is how long it wants to be left alone."""

    def __init__(self, why: str, asked_seconds: float = 0) -> None:
        super().__init__(why)
        self.asked_seconds = asked_seconds


class TooLargeError(Exception):
    """The batch has more bytes than the hub, or a proxy before it, takes at once."""


class Result(msgspec.Struct, frozen=True, rename="pascal"):
    """What the hub answered to one event: its id, or with another status than 200 and 201 the problem."""

    status: int
    event_id: str = ""
    problem: dict[str, Any] = {}


class _Results(msgspec.Struct, frozen=True, rename="pascal"):
    results: list[Result]


class Batches:
    """The door of a hub for many events at once; *client* has its address and a key."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._address = str(client.base_url).rstrip("/")
        self._has_answered = False

    async def publish(self, events: Sequence[bytes]) -> list[Result]:
        """
        What the hub answers to each of *events*, in order; each is JSON on one line.

        Raises:
            LaterError: The hub is busy or away, and was there before.
            TooLargeError: They are too many bytes for one request.
            FailedError: There is no hub at the address, it was never there, or it refuses the key.
        """
        try:
            response = await self._client.post(
                "/events/batch", content=b"\n".join(events), headers={"Content-Type": "application/x-ndjson"}
            )
        except httpx.TransportError as error:
            why = f"The hub at {self._address} does not answer: {_cause(error, self._address)}."
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
            raise FailedError(f"{self._address} is no address of a hub: its answer to events is not a hub's.")
        return results

    def _failure(self, response: httpx.Response) -> Exception:
        """What a status means that is for the whole batch."""
        said = f"{response.status_code} {response.reason_phrase}".strip()
        problem = _problem(response)
        if response.status_code in AGAIN:
            return LaterError(problem.get("detail") or f"{self._address} answers {said}.", _retry_after(response))
        if response.status_code == 413:
            return TooLargeError(problem.get("detail") or f"{self._address} answers {said}.")
        if problem and response.status_code != 404:
            return FailedError(str(problem["detail"]))
        leads_to = f" It leads to {location}." if (location := response.headers.get("location")) else ""
        return FailedError(f"{self._address} is no address of a hub: it answers {said} to events.{leads_to}")


def _problem(response: httpx.Response) -> dict[str, Any]:
    """The problem document of an answer; empty where it has none."""
    if not response.headers.get("content-type", "").startswith(PROBLEM):
        return {}
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) and problem.get("detail") else {}


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return min(float(text), LONGEST_ASKED_SECONDS) if text.isascii() and text.isdigit() else 0


def _cause(error: httpx.TransportError, address: str) -> str:
    """Why there was no answer, in the words that the hub has for its own subscribers."""
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

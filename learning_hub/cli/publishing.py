"""Publishing many events to a hub over HTTP: side by side, patiently, and in order where order matters."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import httpx
import msgspec

from learning_hub.cli.failing import FailedError
from learning_hub.cli.progress_file import ProgressFile

AGAIN = (429, 502, 503, 504)
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30
LINES_AHEAD = 50


class BadLine(msgspec.Struct, frozen=True, rename="pascal"):
    """A line that the hub did not take."""

    line: int
    status: int
    detail: str
    errors: list[dict[str, str]] = []


class Report(msgspec.Struct, rename="pascal"):
    """What became of the lines of a file."""

    new: int = 0
    same: int = 0
    before: int = 0
    failed: list[BadLine] = []


class Publishing:
    """
    One file on its way to a hub.

    Lines of one source record go out one after the other, as they stand in the file: a later revision must not
    overtake an earlier one. Each has an Idempotency-Key of its place and content, so that one that was sent already is
    answered as it was then, whatever came between.

    Args:
        client: For the hub, with its address and a key.
        progress: What was published before, and is now.
        connections: How many lines to send side by side.
        patience_seconds: How long to try again while the hub does not answer.
        advance: Called after each line.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        progress: ProgressFile,
        *,
        connections: int,
        patience_seconds: float,
        advance: Callable[[], None],
    ) -> None:
        self._client = client
        self._progress = progress
        self._patience_seconds = patience_seconds
        self._advance = advance
        self._lanes: list[asyncio.Queue[tuple[int, bytes] | None]] = [
            asyncio.Queue(LINES_AHEAD) for _ in range(connections)
        ]
        self._has_answered = False
        self.report = Report()

    async def publish(self, lines: Iterable[bytes]) -> Report:
        """
        Publish *lines*, and tell what became of each.

        Raises:
            FailedError: The key is refused, or the hub does not answer.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for lane in self._lanes:
                    group.create_task(self._drive(lane))
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        await self._lanes[_lane_of(line, number) % len(self._lanes)].put((number, line))
                for lane in self._lanes:
                    await lane.put(None)
        except BaseExceptionGroup as group:
            failures = [error for error in group.exceptions if isinstance(error, FailedError)]
            if not failures:
                raise
            raise failures[0] from None
        self.report.failed.sort(key=lambda bad: bad.line)
        return self.report

    async def _drive(self, lane: asyncio.Queue[tuple[int, bytes] | None]) -> None:
        while item := await lane.get():
            number, line = item
            if self._progress.has(number, line):
                self.report.before += 1
            else:
                await self._send(number, line)
            self._advance()

    async def _send(self, number: int, line: bytes) -> None:
        response = await self._answer(number, line)
        if response.status_code in (200, 201):
            if response.status_code == 201:
                self.report.new += 1
            else:
                self.report.same += 1
            self._progress.add(number, line, response.headers.get("location", "").rpartition("/")[2])
            return
        problem = _problem(response)
        if response.status_code == 401 or problem.get("code") == "scope_missing":
            raise FailedError(str(problem["detail"]))
        self.report.failed.append(
            BadLine(number, response.status_code, str(problem["detail"]), problem.get("errors", []))
        )

    async def _answer(self, number: int, line: bytes) -> httpx.Response:
        """What the hub says to a line in the end: as long as it asks to come back later, later."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience_seconds
        wait_seconds: float = FIRST_WAIT_SECONDS
        headers = {"Content-Type": "application/json", "Idempotency-Key": _idempotency_key(number, line)}
        while True:
            asked_wait_seconds = 0.0
            try:
                response = await self._client.post("/events", content=line, headers=headers)
            except httpx.TransportError as error:
                if not self._has_answered or loop.time() > deadline:
                    raise FailedError(f"The hub at {self._client.base_url} does not answer: {_why(error)}.") from error
            else:
                self._has_answered = True
                if response.status_code not in AGAIN:
                    return response
                if loop.time() > deadline:
                    return response
                asked_wait_seconds = _retry_after(response)
            # Spread, so that not all of the connections come back at once.
            await asyncio.sleep(max(asked_wait_seconds, wait_seconds) * random.uniform(1, 1.3))  # noqa: S311
            wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)


def _lane_of(line: bytes, number: int) -> int:
    """Alike for all lines of one source record."""
    try:
        event = json.loads(line)
        record = [event.get(name) for name in ("PublisherProgramId", "PublisherSystemId", "PublisherEventId")]
        return zlib.crc32(json.dumps(record).encode())
    except (ValueError, AttributeError, RecursionError):
        return number


def _idempotency_key(number: int, line: bytes) -> str:
    return f"line-{number}-{hashlib.sha256(line.strip()).hexdigest()}"


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        problem = response.json()
        return problem if isinstance(problem, dict) and "detail" in problem else {"detail": response.reason_phrase}
    except ValueError:
        return {"detail": f"The answer is no hub's: {response.status_code} {response.reason_phrase}."}


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return min(float(text), 3600) if text.isascii() and text.isdigit() else 0


def _why(error: httpx.TransportError) -> str:
    return str(error).rstrip(".") or type(error).__name__

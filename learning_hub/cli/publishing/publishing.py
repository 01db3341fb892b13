"""Publish many events to a hub: in batches, with retries, and in order within each source record."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from learning_hub.cli.failures import FailedError
from learning_hub.cli.publishing.client import RETRIED, Batches, LaterError, Result, TooLargeError
from learning_hub.cli.publishing.progress_file import ProgressFile

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30
BATCH_EVENTS = 500
# Many proxies accept at most 1 MiB in one request by default.
BATCH_BYTES = 1_000_000
EVENTS_AHEAD = 2 * BATCH_EVENTS


class BadLine(msgspec.Struct, frozen=True, rename="pascal"):
    """A line that the hub refused."""

    line: int
    status: int
    detail: str
    errors: list[dict[str, str]] = []


class Report(msgspec.Struct, rename="pascal"):
    """
    The results of the lines of a file: *before* were published already and not sent again.

    *hub_went_back* says that the hub lacked events that were published before, so that all were sent again.
    """

    new: int = 0
    same: int = 0
    before: int = 0
    failed: list[BadLine] = []
    hub_went_back: bool | UnsetType = UNSET

    @property
    def answered(self) -> int:
        """How many were sent and got a response."""
        return self.new + self.same + len(self.failed)


class Line(msgspec.Struct, frozen=True, gc=False):
    """An event to send; *record* is the same for all events of one source record."""

    number: int
    content: bytes
    record: int


class _Source(msgspec.Struct, frozen=True, rename="pascal", gc=False):
    publisher_program_id: str | None = None
    publisher_system_id: str | None = None
    publisher_event_id: str | None = None


class Publishing:
    """
    Publishes one file to a hub.

    Events of one source record are sent one after the other, in the order of the file, and never two in one batch: a
    batch whose response was lost is sent again, and the hub must not take an earlier revision for a change of a later
    one. So every event that is sent again is answered as the same event.

    Args:
        batches: Sends batches to the hub.
        progress: Records the published events.
        report: Filled in as responses arrive.
        connections: How many batches to send in parallel.
        patience_seconds: How long to retry while the hub does not answer.
        advance: Called with the number of further finished events.
    """

    def __init__(
        self,
        batches: Batches,
        progress: ProgressFile,
        report: Report,
        *,
        connections: int,
        patience_seconds: float,
        advance: Callable[[int], None],
    ) -> None:
        self._batches = batches
        self._progress = progress
        self._report = report
        self._patience_seconds = patience_seconds
        self._advance = advance
        self._lanes: list[asyncio.Queue[Line | None]] = [asyncio.Queue(EVENTS_AHEAD) for _ in range(connections)]
        self._sent_records: set[int] = set()

    async def publish(self, events: Iterable[tuple[int, bytes]]) -> None:
        """
        Publish *events*, each with its number in the file.

        Raises:
            FailedError: The key is refused, or the hub does not answer.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for lane in self._lanes:
                    group.create_task(self._drive(lane))
                for number, content in events:
                    line = Line(number, content, _record_of(number, content))
                    if self._was_published(line):
                        self._report.before += 1
                        self._advance(1)
                    else:
                        await self._lanes[line.record % len(self._lanes)].put(line)
                for lane in self._lanes:
                    await lane.put(None)
        except BaseExceptionGroup as group:
            failures = [error for error in group.exceptions if isinstance(error, FailedError)]
            if not failures:
                raise
            raise failures[0] from None
        finally:
            self._report.failed.sort(key=lambda bad: bad.line)

    def _was_published(self, line: Line) -> bool:
        """Whether *line* need not be sent; it must be if an earlier line of its source record is sent now."""
        if self._progress.is_empty:
            return False
        if line.record not in self._sent_records and self._progress.has(line.number, line.content):
            return True
        self._sent_records.add(line.record)
        return False

    async def _drive(self, lane: asyncio.Queue[Line | None]) -> None:
        waiting: list[Line] = []
        is_open = True
        while is_open or waiting:
            if is_open:
                is_open = await _take(lane, waiting)
            batch, waiting = _next_batch(waiting)
            await self._send(batch)

    async def _send(self, batch: list[Line]) -> None:
        patience = _Patience(self._patience_seconds)
        while batch:
            left, later = await self._send_once(batch)
            if later:
                if len(left) < len(batch):
                    patience = _Patience(self._patience_seconds)
                await patience.wait(later)
            batch = left

    async def _send_once(self, batch: list[Line]) -> tuple[list[Line], LaterError | None]:
        """Send *batch* once; the lines that are left to send, and the error if they must wait."""
        try:
            results = await self._batches.publish([line.content for line in batch])
        except LaterError as later:
            return batch, later
        except TooLargeError as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._send(batch[:middle])
                return batch[middle:], None
            results = [Result(413, problem={"detail": str(error)})]
        left = self._record(batch, results)
        return left, LaterError(_detail(next(each for each in results if each.status in RETRIED))) if left else None

    def _record(self, batch: Sequence[Line], results: Sequence[Result]) -> list[Line]:
        """Record the hub's results for *batch*; the lines that must be retried are left."""
        left: list[Line] = []
        published: list[tuple[int, bytes, str]] = []
        for line, result in zip(batch, results, strict=True):
            if result.status in RETRIED:
                left.append(line)
            elif result.status in (200, 201):
                self._report.new += result.status == 201
                self._report.same += result.status == 200
                published.append((line.number, line.content, result.event_id))
            else:
                errors = result.problem.get("errors", [])
                self._report.failed.append(BadLine(line.number, result.status, _detail(result), errors))
        self._progress.add(published)
        self._advance(len(batch) - len(left))
        return left


class _Patience:
    """Waits longer each time, until it is used up."""

    def __init__(self, seconds: float) -> None:
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._seconds: float = FIRST_WAIT_SECONDS

    async def wait(self, later: LaterError) -> None:
        """
        Wait before the next attempt.

        Raises:
            FailedError: The patience is used up.
        """
        if asyncio.get_running_loop().time() > self._deadline:
            raise FailedError(str(later)) from later
        # Spread, so that the connections do not all retry at once.
        await asyncio.sleep(max(later.retry_after_seconds, self._seconds) * random.uniform(1, 1.3))  # noqa: S311
        self._seconds = min(self._seconds * 2, LONGEST_WAIT_SECONDS)


def _record_of(number: int, content: bytes) -> int:
    try:
        source = msgspec.json.decode(content, type=_Source)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return hash(number)
    return hash((source.publisher_program_id, source.publisher_system_id, source.publisher_event_id))


async def _take(lane: asyncio.Queue[Line | None], waiting: list[Line]) -> bool:
    """Move the available lines to *waiting*, at least one; False at the end of the lane."""
    while len(waiting) < EVENTS_AHEAD:
        if waiting and lane.empty():
            return True
        line = await lane.get()
        if line is None:
            return False
        waiting.append(line)
    return True


def _next_batch(waiting: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """The first line of each source record, as many as fit into one batch, and the other lines, both in order."""
    batch: list[Line] = []
    rest: list[Line] = []
    records: set[int] = set()
    size = 0
    for line in waiting:
        is_full = len(batch) == BATCH_EVENTS or (batch and size + len(line.content) > BATCH_BYTES)
        if is_full or line.record in records:
            rest.append(line)
        else:
            batch.append(line)
            size += len(line.content) + 1
        records.add(line.record)
    return batch, rest


def _detail(result: Result) -> str:
    return str(result.problem.get("detail") or f"The hub answers {result.status}.")

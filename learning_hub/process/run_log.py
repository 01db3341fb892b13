"""The log of a run as human-readable lines, read once or followed live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import msgspec

from learning_hub.model.ids import delivery_id, event_id
from learning_hub.model.run import Counts, RunState
from learning_hub.model.run_log import START, LoggedRun, LogPosition, RunLine
from learning_hub.store import run_log
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications
from learning_hub.store.run_log import LogEntry

LINES_AT_ONCE = 10_000
POLL_SECONDS = 0.5
# The wait between two reads of a log, as a multiple of the duration of a read, which is long for runs with many
# deliveries.
WAIT_PER_READING_SECOND = 5
LONGEST_WAIT_SECONDS = 10
# An attempt ends shortly before its commit, so a line may appear after lines with later times.
LATE = timedelta(seconds=5)


class LogPart(msgspec.Struct, frozen=True):
    """Lines of a log in order, each with its position; in the last part, *ended* is the state of the finished run."""

    lines: list[tuple[LogPosition, RunLine]]
    ended: RunState | None


async def read(database: Database, run_id: str, run: LoggedRun) -> AsyncIterator[list[RunLine]]:
    """All present lines of the log, in order, up to 10,000 at a time."""
    position = START
    while True:
        entries = await run_log.page(database, run_id, run.program_id, position, LINES_AT_ONCE)
        yield [_line(entry, run) for entry in entries]
        if len(entries) < LINES_AT_ONCE:
            return
        position = entries[-1].position


async def follow(
    database: Database, notifications: Notifications, run_id: str, run: LoggedRun, after: LogPosition
) -> AsyncIterator[LogPart]:
    """
    The lines after *after*, and new lines until the run has finished or the hub stops.

    A part without lines says that nothing was logged for some time.
    """
    loop = asyncio.get_running_loop()
    last = after
    seen: set[LogPosition] = set()
    while True:
        began = loop.time()
        # Read before the lines: if the run has finished by now, the lines are complete.
        now = await run_log.find_run(database, run_id) or run
        position = _read_from(last, after)
        is_full = True
        while is_full:
            entries = await run_log.page(database, run_id, now.program_id, position, LINES_AT_ONCE)
            is_full = len(entries) == LINES_AT_ONCE
            new = [entry for entry in entries if entry.position not in seen]
            ended = None if now.state == "running" or is_full else now.state
            yield LogPart([(entry.position, _line(entry, now)) for entry in new], ended)
            if entries:
                position = entries[-1].position
                last = max(last, position)
                oldest = _read_from(last, after)
                seen = {each for each in seen | {entry.position for entry in new} if each > oldest}
        if now.state != "running":
            return
        wait = min(max(POLL_SECONDS, WAIT_PER_READING_SECOND * (loop.time() - began)), LONGEST_WAIT_SECONDS)
        until = loop.time() + wait
        while loop.time() < until:
            await asyncio.sleep(min(POLL_SECONDS, until - loop.time()))
            if notifications.is_closed:
                return


def _read_from(last: LogPosition, after: LogPosition) -> LogPosition:
    """The position to read from again, so that a line that appears late is found."""
    if last == START:
        return last
    return max(after, LogPosition(last.at_utc - LATE, UUID(int=0), 0))


def _line(entry: LogEntry, run: LoggedRun) -> RunLine:
    is_of_delivery = entry.event_uuid is not None
    return RunLine(
        at_utc=entry.position.at_utc,
        event_id=event_id(run.program_id, entry.event_uuid) if entry.event_uuid else None,
        delivery_id=delivery_id(run.program_id, entry.position.delivery_uuid) if is_of_delivery else None,
        message=_message(entry, run),
    )


def _message(entry: LogEntry, run: LoggedRun) -> str:
    match entry.kind:
        case "begun":
            return _begun(run)
        case "gathered":
            return f"Gathered: {entry.message} {'delivery' if entry.message == '1' else 'deliveries'}."
        case "finished":
            return _finished(run)
    return _message_of_delivery(entry)


def _message_of_delivery(entry: LogEntry) -> str:
    match entry.kind:
        case "before":
            return "Already delivered before."
        case "delivered":
            name = f" as {entry.record_id}" if entry.record_id else ""
            return _sentences(f"Sent: delivered{name}.", entry.message)
        case "left":
            return _left(entry)
    # The line at the end of the run says that the delivery is retried.
    return _state_and_reason("failed" if entry.state in ("retrying", "waiting") else entry.state, entry.message)


def _begun(run: LoggedRun) -> str:
    if run.trigger == "cron":
        return f"Begun by the schedule, for {run.request.get('DueUtc')}."
    what = "run once" if run.trigger == "run" else run.trigger
    dry = " A dry run: nothing is sent." if run.request.get("DryRun") else ""
    return f"Begun: {what}, asked for by {run.requested_by}.{dry}"


def _left(entry: LogEntry) -> str:
    match entry.state:
        case None:
            return "Not sent by this run."
        case "held":
            return "Waiting: held until its subscription is started or run."
        case "paused":
            return f"Waiting: nothing is sent to {entry.subscriber} for now."
        case "retrying":
            return _state_and_reason("retrying", entry.message)
    return "Waiting: an earlier delivery of its record is retried first."


def _finished(run: LoggedRun) -> str:
    if run.state == "failed":
        return _state_and_reason("failed", run.message)
    counts = msgspec.structs.asdict(run.counts or Counts())
    return f"Finished: {', '.join(f'{n} {name}' for name, n in counts.items() if n or name == 'matched')}."


def _state_and_reason(state: str | None, message: str | None) -> str:
    word = (state or "failed").capitalize()
    return f"{word}: {message}" if message else f"{word}."


def _sentences(first: str, second: str | None) -> str:
    return f"{first} {second}" if second else first

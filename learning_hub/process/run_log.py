"""The log of a run in words, as a whole or while it goes on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from learning_hub.model.ids import delivery_id, event_id
from learning_hub.model.run import Counts, RunLine, RunState
from learning_hub.store import run_log
from learning_hub.store.database import Database
from learning_hub.store.notifications import Notifications
from learning_hub.store.run_log import BEFORE_ALL, Entry, Place, Standing

LINES_AT_ONCE = 10_000
LOOK_EVERY_SECONDS = 0.5
# A look into a run with many deliveries takes long; looking takes this part of the time at most.
LOOKING_SHARE = 5
LONGEST_WAIT_SECONDS = 10
# Tries end a moment before it is committed that they did, so a line may appear behind a later one.
LATE = timedelta(seconds=5)
# Of a line, for a reader who comes back: microseconds since 1970, delivery, number.
_PLACE = re.compile(r"([0-9]{1,18})-([0-9a-f]{32})-([0-9]{1,9})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Stretch(msgspec.Struct, frozen=True):
    """Lines of a log in order, each with its place; with *ended* the run is over in that state, and no more come."""

    lines: list[tuple[Place, RunLine]]
    ended: RunState | None


def write_place(place: Place) -> str:
    """A place in a log, for a reader who comes back."""
    return f"{(place.at_utc - _EPOCH) // timedelta(microseconds=1)}-{place.delivery_uuid.hex}-{place.number}"


def read_place(text: str | None) -> Place:
    """The place that was written so; the beginning for what was not."""
    match = _PLACE.fullmatch(text or "")
    try:
        if match:
            return Place(_EPOCH + timedelta(microseconds=int(match[1])), UUID(match[2]), int(match[3]))
    except OverflowError:
        pass
    return BEFORE_ALL


async def read(database: Database, run_id: str, standing: Standing) -> AsyncIterator[list[RunLine]]:
    """All lines of the log as it is now, in order, some thousand at a time."""
    place = BEFORE_ALL
    while True:
        entries = await run_log.page(database, run_id, standing.program_id, place, LINES_AT_ONCE)
        yield [_line(entry, standing) for entry in entries]
        if len(entries) < LINES_AT_ONCE:
            return
        place = entries[-1].place


async def follow(
    database: Database, notifications: Notifications, run_id: str, standing: Standing, after: Place
) -> AsyncIterator[Stretch]:
    """
    The lines after *after*, and those that come, until the run is over or the hub stops.

    A stretch without lines says that nothing came for some time.
    """
    loop = asyncio.get_running_loop()
    last = after
    seen: set[Place] = set()
    while True:
        began = loop.time()
        now = await run_log.standing(database, run_id) or standing
        # Read after that: of a run that is over then all lines are there.
        place = _before(last, after)
        is_full = True
        while is_full:
            entries = await run_log.page(database, run_id, now.program_id, place, LINES_AT_ONCE)
            is_full = len(entries) == LINES_AT_ONCE
            fresh = [entry for entry in entries if entry.place not in seen]
            ended = None if now.state == "running" or is_full else now.state
            yield Stretch([(entry.place, _line(entry, now)) for entry in fresh], ended)
            if entries:
                place = entries[-1].place
                last = max(last, place)
                seen = {each for each in seen | {entry.place for entry in fresh} if each > _before(last, after)}
        if now.state != "running":
            return
        wait = min(max(LOOK_EVERY_SECONDS, LOOKING_SHARE * (loop.time() - began)), LONGEST_WAIT_SECONDS)
        until = loop.time() + wait
        while loop.time() < until:
            await asyncio.sleep(min(LOOK_EVERY_SECONDS, until - loop.time()))
            if notifications.is_closed:
                return


def _before(last: Place, after: Place) -> Place:
    """From where to look again, so that a line that appears late is seen."""
    if last == BEFORE_ALL:
        return last
    return max(after, Place(last.at_utc - LATE, UUID(int=0), 0))


def _line(entry: Entry, standing: Standing) -> RunLine:
    is_of_delivery = entry.event_uuid is not None
    return RunLine(
        at_utc=entry.place.at_utc,
        event_id=event_id(standing.program_id, entry.event_uuid) if entry.event_uuid else None,
        delivery_id=delivery_id(standing.program_id, entry.place.delivery_uuid) if is_of_delivery else None,
        message=_words(entry, standing),
    )


def _words(entry: Entry, standing: Standing) -> str:
    match entry.kind:
        case "begun":
            return _begun(standing)
        case "gathered":
            return f"Gathered: {entry.message} {'delivery' if entry.message == '1' else 'deliveries'}."
        case "finished":
            return _finished(standing)
    return _words_of_delivery(entry)


def _words_of_delivery(entry: Entry) -> str:
    match entry.kind:
        case "before":
            return "Already delivered before."
        case "delivered":
            name = f" as {entry.record_id}" if entry.record_id else ""
            return _sentences(f"Sent: delivered{name}.", entry.message)
        case "left":
            return _left(entry)
    # One that is tried again says so when the run finishes.
    return _after("failed" if entry.state in ("retrying", "waiting") else entry.state, entry.message)


def _begun(standing: Standing) -> str:
    if standing.trigger == "cron":
        return f"Begun by the schedule, for {standing.request.get('DueUtc')}."
    what = "run once" if standing.trigger == "run" else standing.trigger
    dry = " A dry run: nothing is sent." if standing.request.get("DryRun") else ""
    return f"Begun: {what}, asked for by {standing.requested_by}.{dry}"


def _left(entry: Entry) -> str:
    match entry.state:
        case None:
            return "Not sent by this run."
        case "held":
            return "Waiting: held until its subscription is started, or told to run."
        case "paused":
            return f"Waiting: nothing is sent to {entry.subscriber} for now."
        case "retrying":
            return _after("retrying", entry.message)
    return "Waiting: an earlier one of its record is tried again first."


def _finished(standing: Standing) -> str:
    if standing.state == "failed":
        return _after("failed", standing.message)
    counts = msgspec.structs.asdict(standing.counts or Counts())
    return f"Finished: {', '.join(f'{n} {name}' for name, n in counts.items() if n or name == 'matched')}."


def _after(state: str | None, message: str | None) -> str:
    word = (state or "failed").capitalize()
    return f"{word}: {message}" if message else f"{word}."


def _sentences(first: str, second: str | None) -> str:
    return f"{first} {second}" if second else first

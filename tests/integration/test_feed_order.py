"""A reader that follows the feed sees every entry exactly once, in one order, whatever writers do meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest
from factories import a_valid_event
from feed_visibility import caught_up

from learning_hub.model.clock import now
from learning_hub.model.event import Classification, Event
from learning_hub.model.feed import BEGINNING, FeedFilter, Position, read_cursor, write_cursor
from learning_hub.model.ids import EventKey, event_id, new_uuid
from learning_hub.publish.writer import Writer
from learning_hub.store import events, migrations
from learning_hub.store.database import Connection, Database
from learning_hub.store.events import Appended
from learning_hub.store.feed import read_feed
from learning_hub.store.notifications import Notifications

pytestmark = pytest.mark.quick

NURSES = FeedFilter(program_id="NURSES")


@pytest.fixture
async def nurses(database: Database) -> Database:
    """A database with the Program NURSES."""
    await database.execute("INSERT INTO program (program_id, name) VALUES ('NURSES', 'Nurses')")
    return database


async def append(connection: Connection, *names: str) -> list[str]:
    """Append events within the connection's transaction; returns their ids."""
    new = []
    for name in names:
        event = a_valid_event(PublisherEventId=name)
        new.append(
            Appended(
                event=event,
                event_uuid=new_uuid(),
                classification=Classification("new"),
                created_utc=now(),
            )
        )
    await events.append_events(connection, new)
    return [event_id("NURSES", item.event_uuid) for item in new]


class Follower:
    """A reader that follows the feed page by page through cursors."""

    def __init__(self, database: Database, limit: int = 100) -> None:
        self.seen: list[Event] = []
        self._database = database
        self._limit = limit
        self._cursor = write_cursor(BEGINNING)

    async def look(self) -> list[str]:
        """The names of what has come since the last look."""
        names = []
        while True:
            part = await read_feed(self._database, NURSES, read_cursor(self._cursor), self._limit)
            self._cursor = write_cursor(part.position)
            self.seen += part.events
            names += [event.publisher_event_id for event in part.events]
            if part.is_end:
                return names

    async def follow(self, done: asyncio.Event) -> None:
        while not done.is_set():
            await self.look()
            await asyncio.sleep(random.uniform(0, 0.01))
        await self.look()

    @property
    def entries(self) -> list[tuple[str, bool]]:
        return [(event.event_id, bool(event.withdrawn_utc)) for event in self.seen]


async def test_followers_beside_many_slow_writers(nurses: Database) -> None:
    """Beside many slow concurrent writers each of several readers sees every entry exactly once, all in one order."""
    stored: set[tuple[str, bool]] = set()
    chance = random.Random(17)
    notifications = Notifications(nurses)
    writer = Writer(nurses, notifications)
    done = asyncio.Event()

    async def write_slowly(number: int) -> None:
        connection = await asyncpg.connect(nurses.address)
        try:
            for turn in range(8):
                transaction = connection.transaction()
                await transaction.start()
                names = [f"slow {number} {turn} {part}" for part in range(chance.randint(1, 3))]
                ids = await append(connection, names[0])
                await asyncio.sleep(chance.uniform(0, 0.06))
                ids += await append(connection, *names[1:]) if names[1:] else []
                await asyncio.sleep(chance.choice([0, 0, 0.05]))
                if chance.random() < 0.2:
                    await transaction.rollback()
                    continue
                await transaction.commit()
                stored.update((id_, False) for id_ in ids)
        finally:
            await connection.close()

    async def publish(number: int) -> None:
        for turn in range(20):
            published = await writer.publish(a_valid_event(PublisherEventId=f"quick {number} {turn}"))
            stored.add((str(published.key), False))
            if turn % 5 == 0:
                assert await events.append_withdrawal(nurses, published.key, now())
                stored.add((str(published.key), True))
            await asyncio.sleep(chance.uniform(0, 0.02))

    followers = [Follower(nurses, limit) for limit in (1, 3, 10, 1000)]
    following = [asyncio.create_task(follower.follow(done)) for follower in followers]
    writing = asyncio.create_task(writer.run())
    await asyncio.gather(*[write_slowly(number) for number in range(10)], *[publish(number) for number in range(6)])
    await caught_up(nurses)
    done.set()
    await asyncio.gather(*following)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    late = Follower(nurses)
    await late.look()

    assert len(stored) > 200
    for follower in [*followers, late]:
        assert len(set(follower.entries)) == len(follower.entries)
        assert set(follower.entries) == stored
        assert follower.entries == late.entries


@asynccontextmanager
async def held_open(address: str, statement: str) -> AsyncIterator[asyncpg.Connection]:
    """A transaction that has written, and stays open."""
    connection = await asyncpg.connect(address)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(statement)
    try:
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()


async def test_a_transaction_held_open(nurses: Database) -> None:
    """While an older transaction is open no reader steps over it: later ones wait for it, and all come in one order."""
    follower = Follower(nurses)
    slow = await asyncpg.connect(nurses.address)
    transaction = slow.transaction()
    await transaction.start()
    await append(slow, "slow")
    async with nurses.transaction() as connection:
        await append(connection, "quick 1")
    async with nurses.transaction() as connection:
        await append(connection, "quick 2")

    assert await follower.look() == []
    await transaction.commit()
    await slow.close()
    await caught_up(nurses)
    assert await follower.look() == ["slow", "quick 1", "quick 2"]
    assert await Follower(nurses, 1).look() == ["slow", "quick 1", "quick 2"]


async def test_a_transaction_that_rolls_back(nurses: Database) -> None:
    """What waited for a transaction appears when that one is rolled back, and nothing of it is ever seen."""
    follower = Follower(nurses)
    async with held_open(nurses.address, "SELECT pg_current_xact_id()") as slow:
        await append(slow, "never")
        async with nurses.transaction() as connection:
            await append(connection, "quick")
        assert await follower.look() == []

    await caught_up(nurses)
    assert await follower.look() == ["quick"]


async def test_a_transaction_of_another_database(nurses: Database, server_address: str) -> None:
    """A writing transaction in another database of the server holds later entries back as well, and no earlier ones."""
    follower = Follower(nurses)
    async with nurses.transaction() as connection:
        await append(connection, "before")
    await caught_up(nurses)
    async with held_open(server_address, "SELECT pg_current_xact_id()"):
        async with nurses.transaction() as connection:
            await append(connection, "after")
        assert await follower.look() == ["before"]

    await caught_up(nurses)
    assert await follower.look() == ["after"]


async def test_a_reading_transaction_holds_nothing_back(nurses: Database) -> None:
    """A transaction that only reads, however old, delays no reader."""
    async with held_open(nurses.address, "SELECT count(*) FROM event"):
        async with nurses.transaction() as connection:
            await append(connection, "event")

        await caught_up(nurses)
        assert await Follower(nurses).look() == ["event"]


async def test_order_within_a_transaction(nurses: Database) -> None:
    """Entries of one transaction come in the order in which they were written, through pages of one as well."""
    async with nurses.transaction() as connection:
        await append(connection, "z", "a", "m")
        await append(connection, "b")

    await caught_up(nurses)
    assert await Follower(nurses, 1).look() == ["z", "a", "m", "b"]


async def test_a_restore_into_another_cluster(nurses: Database) -> None:
    """After a restore elsewhere a new epoch begins: entries with ids ahead of its counter stay before new ones."""
    follower, fresh = Follower(nurses, 2), Follower(nurses, 1)
    async with nurses.transaction() as connection:
        await append(connection, "old 1", "old 2", "old 3")
    await caught_up(nurses)
    assert await follower.look() == ["old 1", "old 2", "old 3"]
    await nurses.execute("UPDATE event SET xid = '9000000000000000000'::xid8")
    await nurses.execute("UPDATE feed_epoch SET system_identifier = 'the cluster it came from'")
    await migrations.migrate(nurses.address)
    await migrations.migrate(nurses.address)
    async with nurses.transaction() as connection:
        await append(connection, "new 1", "new 2")

    await caught_up(nurses)
    assert await nurses.fetchval("SELECT array_agg(is_step_back ORDER BY epoch) FROM feed_epoch") == [False, True]
    assert await fresh.look() == ["old 1", "old 2", "old 3", "new 1", "new 2"]
    assert (await follower.look())[-2:] == ["new 1", "new 2"]
    held = Follower(nurses, 2)
    async with held_open(nurses.address, "SELECT pg_current_xact_id()"):
        async with nurses.transaction() as connection:
            await append(connection, "new 3")
        assert await held.look() == ["old 1", "old 2", "old 3", "new 1", "new 2"]
    await caught_up(nurses)
    assert await held.look() == ["new 3"]


async def test_a_start_in_the_same_cluster_begins_no_epoch(nurses: Database) -> None:
    """Starting again in the same cluster leaves the epoch as it is; coming back to a former one begins a new one."""
    await migrations.migrate(nurses.address)
    assert await nurses.fetchval("SELECT count(*) FROM feed_epoch") == 1
    await nurses.execute("INSERT INTO feed_epoch (epoch, system_identifier) SELECT max(epoch) + 5, 'x' FROM feed_epoch")
    await migrations.migrate(nurses.address)

    epochs = await nurses.fetchval("SELECT array_agg(epoch ORDER BY epoch) FROM feed_epoch")
    # The number is the time, and greater than every other one, whatever the clock says.
    assert [later - epochs[0] > 4 for later in epochs] == [False, True, True]
    assert epochs[0] > 28_000_000


async def test_an_epoch_begins_between_writers(nurses: Database) -> None:
    """An epoch begins when no writer is left that read the one before: its entries would come behind readers."""
    await nurses.execute("UPDATE feed_epoch SET timeline = 'another'")
    async with nurses.transaction() as writer:
        await append(writer, "old")
        beginning = asyncio.create_task(migrations.migrate(nurses.address))
        await asyncio.sleep(0.3)
        assert not beginning.done()
        assert await writer.fetchval("SELECT count(*) FROM feed_epoch") == 1
    await beginning
    async with nurses.transaction() as connection:
        await append(connection, "new")

    await caught_up(nurses)
    rows = await nurses.fetch("SELECT epoch FROM event ORDER BY epoch, xid, seq")
    assert rows[0]["epoch"] < rows[1]["epoch"]


async def test_a_start_that_nobody_saw_may_be_a_step_back(nurses: Database) -> None:
    """A start of the server that no running hub has seen counts as a step back, but not after an upgrade of the hub."""
    await nurses.execute("UPDATE feed_epoch SET server_started_utc = '2026-01-01', timeline = NULL")
    await nurses.execute("UPDATE feed_epoch SET timeline = substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")
    await migrations.migrate(nurses.address)
    assert await nurses.fetchval("SELECT array_agg(is_step_back ORDER BY epoch) FROM feed_epoch") == [False, True]

    await nurses.execute("UPDATE feed_epoch SET server_started_utc = NULL, timeline = NULL, begun_xid = NULL")
    await migrations.migrate(nurses.address)
    assert await nurses.fetchval("SELECT array_agg(is_step_back ORDER BY epoch) FROM feed_epoch") == [
        False, True, False,
    ]  # fmt: skip


async def test_withdrawals_find_their_place(nurses: Database) -> None:
    """A withdrawal is written after its event, whatever lies between, and its own place in the feed is later."""
    async with nurses.transaction() as connection:
        (first,) = await append(connection, "first")
        await append(connection, "second")
    uuid = first.rpartition("NURSES-")[2]
    key = EventKey("NURSES", UUID(uuid))
    assert await events.append_withdrawal(nurses, key, now())
    assert not await events.append_withdrawal(nurses, key, now())

    await caught_up(nurses)
    follower = Follower(nurses)
    assert await follower.look() == ["first", "second", "first"]
    end = (await read_feed(nurses, NURSES, BEGINNING, 100)).position
    assert end > Position(1, 0, 0)

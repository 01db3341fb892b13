"""The database is what schema.sql says, however it was built, and its queries fit it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from database_catalog import CATALOG, catalog
from factories import a_valid_event
from feed_visibility import caught_up

from learning_hub.model.event import Classification, SourceKey
from learning_hub.model.feed import BEGINNING, FeedFilter, Position
from learning_hub.model.ids import new_uuid
from learning_hub.store import checkpoints, deliveries, events, feed, migrations, reconciliation
from learning_hub.store.database import Database
from learning_hub.store.events import Appended
from learning_hub.store.queries import Queries
from learning_hub.store.statistics import Statistics

QUERY_FILES = sorted(
    path.stem for path in migrations.HERE.glob("*.sql") if path.stem != "schema" and "-- name:" in path.read_text()
)


async def test_migrations_build_the_schema(empty_database_address: str, database_address: str) -> None:
    """A database built from the migrations is equal to one built from schema.sql, down to names and defaults."""
    connection = await asyncpg.connect(empty_database_address)
    await connection.execute(migrations.SCHEMA_FILE.read_text(encoding="utf-8"))
    await connection.close()
    written, built = await catalog(empty_database_address), await catalog(database_address)

    assert len(written["columns"]) > 50
    for kind in CATALOG:
        assert written[kind] == built[kind], kind


async def test_migrating_again_changes_nothing(empty_database_address: str) -> None:
    """A new database lacks every migration, a migrated one none, and migrating it again changes nothing."""
    everything = sorted(path.stem for path in migrations.FOLDER.glob("*.sql"))
    assert await migrations.missing(empty_database_address) == everything
    await migrations.migrate(empty_database_address)
    once = await catalog(empty_database_address)
    await migrations.migrate(empty_database_address)

    assert await migrations.missing(empty_database_address) == []
    assert once == await catalog(empty_database_address)


@pytest.mark.quick
async def test_program_id_leads_every_key(database: Database) -> None:
    """program_id leads every primary and unique key of event, delivery and attempt, so that look-ups can be routed."""
    rows = await database.fetch(
        """
        SELECT indexrelid::regclass::text AS key, attname AS leader
          FROM pg_index
          JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
         WHERE indisunique AND indrelid IN ('event'::regclass, 'delivery'::regclass, 'attempt'::regclass)
        """
    )

    assert len(rows) >= 6
    assert {row["leader"] for row in rows} == {"program_id"}, [tuple(row) for row in rows]


def named_queries() -> Iterator[tuple[str, str, str]]:
    for file in QUERY_FILES:
        for name, sql in Queries(file).by_name.items():
            yield file, name, sql


@pytest.mark.quick
async def test_every_query_fits_the_schema(database: Database) -> None:
    """Every named query can be prepared, and takes as many parameters as it names."""
    assert len(list(named_queries())) > 40
    async with database.connection() as connection:
        for file, name, sql in named_queries():
            if ";" in sql.rstrip().rstrip(";"):
                continue
            try:
                prepared = await connection.prepare(sql)
            except asyncpg.PostgresError as error:
                pytest.fail(f"{file}.sql, {name}: {error}")
            code = re.sub(r"--.*", "", sql)
            numbers = {int(number) for number in re.findall(r"\$(\d+)", code)}
            assert numbers == set(range(1, len(prepared.get_parameters()) + 1)), f"{file}.sql, {name}"


def test_every_query_says_what_it_is_for() -> None:
    """Below its name every query has a line that says what it is for."""
    for file, name, sql in named_queries():
        assert sql.startswith("-- "), f"{file}.sql, {name}"


async def fill(database: Database, rows: int) -> None:
    """A table of events that the planner knows nothing about."""
    await database.execute("ALTER TABLE event SET (autovacuum_enabled = false)")
    await database.execute("INSERT INTO program (program_id, name) VALUES ('NURSES', 'Nurses')")
    for start in range(0, rows, 500):
        batch = [a_valid_event(PublisherEventId=f"AI:{number}") for number in range(start, start + 500)]
        async with database.transaction() as connection:
            await events.append_events(
                connection,
                [
                    Appended(
                        event=event,
                        event_uuid=new_uuid(),
                        classification=Classification("new"),
                        created_utc=datetime(2026, 11, 1 + start // 500, tzinfo=UTC),
                    )
                    for event in batch
                ],
            )


async def plan(database: Database, how: str, query: str, *values: Any, table: str = "event") -> list[dict[str, Any]]:
    """The scans of a table in a plan, as it was carried out for these values."""
    async with database.transaction() as connection:
        await connection.execute(how)
        (tree,) = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *values))
    nodes, waiting = [], [tree["Plan"]]
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", [])
        nodes.append(node)
    return [node for node in nodes if node.get("Relation Name") == table and node["Actual Loops"]]


def rows_read(nodes: list[dict[str, Any]]) -> int:
    """How many rows the scan that read most of them has read."""
    return max(
        int(node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * int(node["Actual Loops"]) for node in nodes
    )


async def analyzed(database: Database, table: str, *, is_analyzed: bool) -> None:
    """The planner knows the table, or nothing about it."""
    if is_analyzed:
        await database.execute(f"ANALYZE {table}")
    known = await database.fetchval("SELECT reltuples FROM pg_class WHERE relname = $1", table)
    assert (known > 0) == is_analyzed


async def test_a_table_that_has_grown_is_known_before_the_server_looks(database: Database) -> None:
    """Statistics are gathered for a table that has none, once it is no longer small, and once only."""
    await fill(database, 1000)
    statistics = Statistics(database)
    await statistics.gather()
    known = await database.fetch("SELECT relname FROM pg_class WHERE relname IN ('event', 'program') AND reltuples > 0")
    assert [row["relname"] for row in known] == ["event"]
    await database.execute("UPDATE pg_class SET reltuples = -1 WHERE relname = 'event'")
    await statistics.gather()
    assert await database.fetchval("SELECT reltuples FROM pg_class WHERE relname = 'event'") == -1


async def test_statistics_of_a_schema_of_any_name(database: Database) -> None:
    """A schema whose name needs quotes is looked through as well."""
    await fill(database, 1000)
    await database.execute('ALTER SCHEMA public RENAME TO "Learning Hub"')
    name = await database.fetchval("SELECT quote_ident(current_database())")
    await database.execute(f"ALTER DATABASE {name} SET search_path = 'Learning Hub'")
    elsewhere = Database(database.address)
    await elsewhere.open()
    await Statistics(elsewhere).gather()
    assert await elsewhere.fetchval("SELECT reltuples FROM pg_class WHERE oid = 'event'::regclass") == 1000
    await elsewhere.close()


@pytest.mark.parametrize("is_analyzed", [False, True])
async def test_plans_of_the_look_up_by_source(database: Database, is_analyzed: bool) -> None:
    """
    The look-up by source key goes through the index made for it, and reads what it returns, on a fresh table as well.

    There it once read the feed's index from end to end for each key.
    """
    await fill(database, 5000)
    await analyzed(database, "event", is_analyzed=is_analyzed)
    keys = [SourceKey("NURSES", "TopClass", f"AI:{number}", "AI_COMP_SUCCESS") for number in range(0, 5000, 10)]
    (look_up,) = await plan(
        database,
        "SELECT 1",
        events.queries.latest_entries,
        [key.program_id for key in keys],
        [key.publisher_event_id for key in keys],
        [key.publisher_system_id for key in keys],
        [key.event_type for key in keys],
    )
    assert look_up["Index Name"] == "event_source_version"
    assert look_up["Actual Loops"] == len(keys)
    assert look_up["Actual Rows"] + look_up.get("Rows Removed by Filter", 0) <= 1


async def test_plans_of_full_pages(database: Database) -> None:
    """A full page of the feed or a bucket is read in order from its index, and no further."""
    await fill(database, 5000)
    await analyzed(database, "event", is_analyzed=True)
    await caught_up(database)
    queries = feed.queries
    day = datetime(2026, 11, 3, tzinfo=UTC).date()
    for query, index, more in (
        (queries.full_page_of_feed, "event_feed", ()),
        (queries.full_page_of_bucket, "event_bucket", (day,)),
    ):
        for how in ("force_custom_plan", "force_generic_plan"):
            nodes = await plan(database, f"SET LOCAL plan_cache_mode = {how}", query, "NURSES", 0, 0, 0, 50, *more)
            assert ({node["Index Name"] for node in nodes}, rows_read(nodes)) == ({index}, 50)


@pytest.mark.parametrize("is_analyzed", [False, True])
async def test_plans_of_the_feed(database: Database, is_analyzed: bool) -> None:
    """A page of the feed, a bucket, a person or a source is read in order from its index, and no further than told."""
    await fill(database, 5000)
    await analyzed(database, "event", is_analyzed=is_analyzed)
    horizon = await database.fetchrow("SELECT max(epoch) AS epoch, max(xid) AS xid FROM event")
    after = await database.fetchrow("SELECT epoch, xid, seq FROM event ORDER BY epoch, xid, seq OFFSET 2500 LIMIT 1")
    assert horizon
    assert after
    middle = Position(after["epoch"], after["xid"], after["seq"])
    queries = feed.queries

    async def scan(
        query: str, start: Position, limit: int, most_examined: int | None, **filters: Any
    ) -> tuple[set[str], int]:
        how = queries.plan_for_these_values if most_examined is None else queries.plan_in_index_order
        spec = FeedFilter(program_id="NURSES", **filters)
        until = Position(horizon["epoch"], horizon["xid"] + 1, 0)
        values = feed.parameters(spec, start, until, limit, most_examined)
        nodes = await plan(database, how, query, *values)
        return {node["Index Name"] for node in nodes}, rows_read(nodes)

    beginning = BEGINNING
    end = Position(horizon["epoch"], horizon["xid"], 2**62)
    day = datetime(2026, 11, 3, tzinfo=UTC).date()
    robin = "robin.vale@example.org"
    since = datetime(2026, 11, 10, tzinfo=UTC)
    whole, bucket, participant = queries.read_feed, queries.read_bucket, queries.read_participant
    for start in (beginning, middle):
        assert await scan(whole, start, 100, 100) == ({"event_feed"}, 100)
        assert await scan(whole, start, 1000, 1000) == ({"event_feed"}, 1000)
        for filters in (
            {"category": "None"},
            {"event_type": "AI_STARTED"},
            {"publisher_system_id": "LB"},
            {"created_since": since},
        ):
            assert await scan(whole, start, 1000, 700, **filters) == ({"event_feed"}, 700), filters
        assert await scan(bucket, beginning, 100, 200, event_date=day, category="None") == ({"event_bucket"}, 200)
        assert await scan(participant, start, 10, 10, publisher_participant_id=robin) == ({"event_participant_key"}, 10)
        assert await scan(
            participant, start, 10, 200, publisher_participant_id=robin, event_date=day, category="None"
        ) == (
            {"event_participant_key"},
            200,
        )
    assert await scan(whole, end, 100, 100) == ({"event_feed"}, 0)
    assert await scan(bucket, beginning, 1000, 1000, event_date=day) == ({"event_bucket"}, 500)
    for start, event in ((beginning, "AI:7"), (middle, "AI:4000")):
        assert await scan(queries.read_source, start, 100, None, publisher_event_id=event) == (
            {"event_source_version"},
            1,
        )
    nodes = await plan(database, queries.plan_in_index_order, queries.start_of_days, "NURSES", since.date())
    assert {node["Index Name"] for node in nodes} == {"event_bucket"}
    assert rows_read(nodes) <= 2


SUBSCRIPTIONS = """
INSERT INTO subscriber (subscriber_id, name, connector, settings)
SELECT id, id, 'imis', '{}' FROM unnest(ARRAY['imis', 'imis-few']) AS id;
INSERT INTO subscription (subscription_id, name, subscriber_id, program_id, event_types, target, templates,
                          start_epoch, start_snapshot)
SELECT 'sub' || tail, 'sub', 'imis' || tail, 'NURSES', '{}', '{}', '{}', 1, '1:1:'
  FROM unnest(ARRAY['', '-few']) AS tail
"""


async def test_plans_of_the_process_stage(database: Database) -> None:
    """A subscription that is far behind takes the next entries in order from the feed's index, and no more of them."""
    await fill(database, 5000)
    await database.execute(SUBSCRIPTIONS)
    await analyzed(database, "event", is_analyzed=True)
    horizon = await database.fetchrow("SELECT max(epoch) AS epoch, max(xid) AS xid FROM event")
    assert horizon
    for mode in ("force_custom_plan", "force_generic_plan"):
        for start in ((0, 0, 0), (horizon["epoch"], 0, 0)):
            how = f"SET LOCAL plan_cache_mode = {mode}"
            values = ["sub", *start, horizon["epoch"], horizon["xid"] + 1, 200]
            (node,) = await plan(database, how, checkpoints.queries.next_entries, *values)
            assert node["Index Name"] == "event_feed"
            assert rows_read([node]) == 200


DELIVERIES = """
INSERT INTO delivery (program_id, delivery_uuid, subscription_id, subscriber_id, event_uuid, event_seq,
                      publisher_system_id, publisher_event_id, event_type, state, code, class, message, delivered_utc)
SELECT program_id, event_uuid, 'sub' || CASE WHEN seq % 1000 = 1 THEN '-few' ELSE '' END,
       'imis' || CASE WHEN seq % 1000 = 1 THEN '-few' ELSE '' END, event_uuid, seq, publisher_system_id,
       publisher_event_id, event_type, state,
       CASE state WHEN 'parked' THEN 'gone' WHEN 'skipped' THEN 'no_template'
                  WHEN 'superseded' THEN 'superseded' END,
       CASE state WHEN 'parked' THEN 'refused' END, '', CASE state WHEN 'delivered' THEN now() END
  FROM event, LATERAL (SELECT CASE WHEN seq % 1000 = 2 THEN 'parked' WHEN seq % 1000 = 3 THEN 'skipped'
                                   WHEN seq % 10 = 5 THEN 'superseded' ELSE 'delivered' END AS state) AS decided
"""


@pytest.mark.parametrize("is_analyzed", [False, True])
async def test_plans_of_deliveries(database: Database, is_analyzed: bool) -> None:
    """A list of deliveries reads what it returns, however few of many a filter leaves over."""
    await fill(database, 5000)
    await database.execute("ALTER TABLE delivery SET (autovacuum_enabled = false)")
    await database.execute(SUBSCRIPTIONS)
    await database.execute(DELIVERIES)
    await analyzed(database, "delivery", is_analyzed=is_analyzed)
    event = await database.fetchval("SELECT event_uuid FROM event LIMIT 1")
    signature = await database.fetchval("SELECT signature FROM delivery WHERE state = 'parked' LIMIT 1")

    async def scan(**filters: Any) -> int:
        names = ("programs", "state", "class_", "code", "program", "event", "before")
        values = [*map(filters.get, names), 100, filters.get("signature"), filters.get("category")]
        query = queries.page
        if "subscription" in filters or "subscriber" in filters:
            query = queries.page_of_subscriptions
            values += [filters.get("subscription"), filters.get("subscriber")]
        nodes = await plan(database, feed.queries.plan_in_index_order, query, *values, table="delivery")
        return rows_read(nodes)

    queries = deliveries.queries
    for programs in (None, ["NURSES"], ["NURSES", "DOCTORS"]):
        assert await scan(programs=programs) == 100
        assert await scan(programs=programs, state="delivered") < 200
        assert await scan(programs=programs, state="superseded") == 100
        assert await scan(programs=programs, state="parked") == 5
        assert await scan(programs=programs, state="skipped") == 5
        assert await scan(programs=programs, state="sending") == 0
        assert await scan(programs=programs, category="0123456789ab") == 5
        assert await scan(programs=programs, code="gone") == 5
        assert await scan(programs=programs, code="timed_out") == 0
        assert await scan(programs=programs, class_="refused") == 5
        assert await scan(programs=programs, class_="hub") == 0
        assert await scan(programs=programs, signature=signature) == 5
        assert await scan(programs=programs, signature="0" * 12) == 0
        assert await scan(programs=programs, subscription="sub-few") == 5
        assert await scan(programs=programs, subscriber="imis-few") == 5
        assert await scan(programs=programs, subscription="sub") <= 101
        assert await scan(programs=programs, program="NURSES", event=event) == 1


@pytest.mark.parametrize("is_analyzed", [False, True])
async def test_plans_of_reconciliation(database: Database, is_analyzed: bool) -> None:
    """Of each event of a page its own deliveries are read, however many its subscription has."""
    await fill(database, 5000)
    await database.execute(SUBSCRIPTIONS)
    await database.execute(DELIVERIES)
    await analyzed(database, "delivery", is_analyzed=is_analyzed)
    day = await database.fetchval("SELECT min(event_date) FROM event")
    times = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    values = ["NURSES", day, day, *times, day, 0, 0, 0, 200, "sub"]

    nodes = await plan(
        database, feed.queries.plan_in_index_order, reconciliation.queries.page, *values, table="delivery"
    )

    assert 0 < rows_read(nodes) <= 200


async def test_lost_races_leave_nothing_behind(database: Database) -> None:
    """A second writer of the same version stores nothing, and the others in the same statement are stored."""
    await fill(database, 500)
    taken, free = a_valid_event(PublisherEventId="AI:1"), a_valid_event(PublisherEventId="new")
    new = [
        Appended(
            event=event,
            event_uuid=new_uuid(),
            classification=Classification("new"),
            created_utc=datetime.now(UTC),
        )
        for event in (taken, free)
    ]
    async with database.transaction() as connection:
        stored: set[UUID] = await events.append_events(connection, new)

    assert stored == {new[1].event_uuid}

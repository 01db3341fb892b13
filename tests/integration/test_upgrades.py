"""A database of the first release, with rows, goes through the migrations that came after."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from database_catalog import catalog
from pogo_core.util import migrate as pogo

from bench.partitions import cut
from learning_hub.store import migrations

FIRST = "0001_pre_first_release"

# Something in every table of the first release.
ROWS_OF_FIRST = """
INSERT INTO program (program_id, name) VALUES ('NURSES', 'Nurses');
INSERT INTO api_key VALUES ('reader', 'Reader', sha256('key'), '{*}', '{read}');
INSERT INTO feed_epoch VALUES (7, 'cluster');
INSERT INTO event (program_id, event_uuid, epoch, publisher_system_id, publisher_event_id, event_type, version,
                   revision, publisher_participant_id, data, event_start_utc, content_hash, created_utc, event_date)
SELECT 'NURSES', ('0190000000000000000000000000000' || number)::uuid, 7, 'TopClass', 'AI:' || number, 'AI_COMP_SUCCESS',
       1, 1, 'robin', '{}', now(), '', now(), (now() AT TIME ZONE 'UTC')::date FROM generate_series(1, 8) AS number;
INSERT INTO idempotency_key SELECT program_id, 'once', '', 201, event_uuid FROM event LIMIT 1;
INSERT INTO subscriber (subscriber_id, name, connector, settings)
SELECT connector, connector, connector, '{}' FROM unnest(ARRAY['imis', 'learningbuilder', 'webhook']) AS connector;
INSERT INTO subscriber_pause VALUES ('imis', 'timed_out', 'unavailable', 'Away.', now(), 5);
INSERT INTO subscription (subscription_id, name, subscriber_id, program_id, event_types, target, templates, start_epoch,
                          start_snapshot)
SELECT subscriber_id, name, subscriber_id, 'NURSES', '{}', '{}', '{}', 1, '1:1:' FROM subscriber;
INSERT INTO subscription_place SELECT subscription_id, 7, '100', 5 FROM subscription;
INSERT INTO subscription_tick SELECT subscription_id, now() FROM subscription;
INSERT INTO delivery (program_id, delivery_uuid, subscription_id, subscriber_id, event_uuid, event_seq,
                      publisher_system_id, publisher_event_id, event_type, state, code, class, message, due_utc,
                      delivered_utc, lease_id, lease_until_utc)
SELECT program_id, event_uuid, 'imis', 'imis', event_uuid, seq, publisher_system_id, publisher_event_id, event_type,
       state, 'refused', 'refused', 'No.', CASE WHEN state IN ('waiting', 'retrying') THEN now() END,
       CASE state WHEN 'delivered' THEN now() END, CASE state WHEN 'sending' THEN event_uuid END,
       CASE state WHEN 'sending' THEN now() END
  FROM event
  JOIN unnest(ARRAY['waiting', 'sending', 'delivered', 'retrying', 'parked', 'skipped', 'superseded', 'discarded'])
       WITH ORDINALITY AS states (state, number) ON publisher_event_id = 'AI:' || number;
INSERT INTO attempt (program_id, delivery_uuid, number, started_utc)
SELECT program_id, delivery_uuid, 1, now() FROM delivery;
INSERT INTO run (run_id, program_id, trigger, request, requested_by) VALUES ('R1', 'NURSES', 'run', '{}', 'admin');
INSERT INTO run_delivery SELECT program_id, 'R1', delivery_uuid, false FROM delivery;
INSERT INTO participant VALUES ('imis', 'NURSES', '', 'robin', '10042', 'staff'),
                               ('imis', 'NURSES', '', 'ROBIN', '10043', 'staff');
INSERT INTO audit (key_id, key_name, action, object_type, object_id) VALUES ('cli', 'cli', 'create', 'program', 'N');
"""

# The statements of the first release on what has another name since.
STATEMENTS_OF_FIRST = (
    "SELECT FROM subscription_place WHERE subscription_id = 'imis' FOR UPDATE",
    "SELECT epoch, xid, seq FROM subscription_place WHERE subscription_id = 'imis' FOR UPDATE SKIP LOCKED",
    "UPDATE subscription_place SET epoch = 7, xid = '101', seq = 6 WHERE subscription_id = 'imis'",
    """
    INSERT INTO subscription_place (subscription_id, epoch, xid, seq)
    SELECT subscription_id, start_epoch, pg_snapshot_xmin(start_snapshot), 0 FROM subscription
     WHERE subscription_id = 'imis'
    ON CONFLICT (subscription_id) DO UPDATE SET epoch = excluded.epoch, xid = excluded.xid, seq = excluded.seq
    """,
    """
    INSERT INTO subscriber (subscriber_id, name, connector, settings) VALUES ('hook', 'Hook', 'webhook', '{}')
    ON CONFLICT (subscriber_id) DO UPDATE SET connector = excluded.connector
    """,
)


IS_USABLE = "SELECT indisvalid AND indisready FROM pg_index WHERE indexrelid = 'event_participant_key'::regclass"


def store_event(number: int) -> str:
    """A statement that stores an event as the first release does."""
    return f"""
        INSERT INTO event (program_id, event_uuid, epoch, publisher_system_id, publisher_event_id, event_type, version,
                           revision, publisher_participant_id, data, event_start_utc, content_hash, created_utc,
                           event_date)
        VALUES ('NURSES', gen_random_uuid(), 7, 'TopClass', 'AI:{number}', 'AI_COMP_SUCCESS', 1, 1, 'robin', '{{}}',
                now(), '', now(), (now() AT TIME ZONE 'UTC')::date)
        """


async def rows_of(connection: asyncpg.Connection[Any], tables: dict[str, list[str]]) -> dict[str, list[str]]:
    """Every row of these tables, with these columns."""
    return {table: await _rows(connection, table, columns) for table, columns in tables.items()}


async def _rows(connection: asyncpg.Connection[Any], table: str, columns: list[str]) -> list[str]:
    sql = f"SELECT to_jsonb(one)::text FROM (SELECT {', '.join(columns)} FROM {table}) AS one"
    return sorted(row[0] for row in await connection.fetch(sql))


async def tables_of(connection: asyncpg.Connection[Any]) -> dict[str, list[str]]:
    """The hub's tables, each with its columns."""
    rows = await connection.fetch(
        """
        SELECT table_name::text, array_agg(column_name::text ORDER BY ordinal_position)
          FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name IN (SELECT tablename FROM pg_tables WHERE schemaname = 'public')
           AND table_name NOT LIKE '%pogo%'
         GROUP BY table_name ORDER BY table_name
        """
    )
    return {row[0]: row[1] for row in rows}


@pytest.fixture
async def first_release(
    empty_database_address: str, tmp_path: Path
) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection to a database of the first release that has rows in every table."""
    (tmp_path / f"{FIRST}.sql").write_bytes((migrations.FOLDER / f"{FIRST}.sql").read_bytes())
    connection = await asyncpg.connect(empty_database_address)
    await pogo.apply(connection, tmp_path, schema_name="public")
    await connection.execute(ROWS_OF_FIRST)
    yield connection
    await connection.close()


async def test_a_database_of_the_first_release_is_upgraded(
    first_release: asyncpg.Connection[asyncpg.Record],
) -> None:
    """All rows of a database of the first release are there after the upgrade, under the old names as well."""
    tables = await tables_of(first_release)
    before = await rows_of(first_release, tables)
    assert len(tables) == 16
    assert all(before.values())

    await pogo.apply(first_release, migrations.FOLDER, schema_name="public")

    assert await rows_of(first_release, tables) == before
    renamed = await rows_of(first_release, {"subscription_checkpoint": tables["subscription_place"]})
    assert renamed["subscription_checkpoint"] == before["subscription_place"]


async def test_processes_of_the_first_release_go_on(first_release: asyncpg.Connection[asyncpg.Record]) -> None:
    """A process of the first release reads and writes as before, also with statements prepared before the upgrade."""
    prepared = [await first_release.prepare(sql) for sql in STATEMENTS_OF_FIRST]
    await pogo.apply(first_release, migrations.FOLDER, schema_name="public")
    for statement, sql in zip(prepared, STATEMENTS_OF_FIRST, strict=True):
        await statement.fetch()
        await first_release.execute(sql)

    row = await first_release.fetchrow("SELECT * FROM subscription_checkpoint WHERE subscription_id = 'imis'")
    assert row
    assert tuple(row) == ("imis", 1, 1, 0)


async def test_publishers_go_on_while_the_index_of_participants_is_built(
    first_release: asyncpg.Connection[asyncpg.Record], empty_database_address: str
) -> None:
    """Events are stored while the migration waits for an open transaction; its index is usable in the end."""
    publishers = [await asyncpg.connect(empty_database_address) for _ in range(2)]
    transaction = publishers[0].transaction()
    await transaction.start()
    await publishers[0].execute(store_event(9))
    migration = asyncio.create_task(pogo.apply(first_release, migrations.FOLDER, schema_name="public"))
    while not await publishers[1].fetchval(
        "SELECT count(*) FROM pg_stat_progress_create_index WHERE relid = 'event'::regclass"
    ):
        assert not migration.done()
        await asyncio.sleep(0.01)
    await publishers[1].execute("SET lock_timeout = '100ms'")
    await publishers[1].execute(store_event(10))
    assert not migration.done()
    await transaction.commit()
    await migration

    assert await publishers[1].fetchval(IS_USABLE)
    for publisher in publishers:
        await publisher.close()


async def test_an_index_whose_building_was_interrupted_is_built_anew(
    first_release: asyncpg.Connection[asyncpg.Record],
) -> None:
    """A migration that was interrupted is carried out again from its beginning."""
    await pogo.apply(first_release, migrations.FOLDER, schema_name="public")
    await first_release.execute("DELETE FROM _pogo_migration WHERE migration_id LIKE '0009%'")
    await first_release.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'event_participant_key'::regclass"
    )

    await pogo.apply(first_release, migrations.FOLDER, schema_name="public")

    assert await first_release.fetchval(IS_USABLE)


async def test_partitioned_tables_are_upgraded(
    first_release: asyncpg.Connection[asyncpg.Record], empty_database_address: str
) -> None:
    """A database whose tables were partitioned gets the same indexes, each on every partition."""
    await asyncio.to_thread(cut, empty_database_address, 2)
    await pogo.apply(first_release, migrations.FOLDER, schema_name="public")

    assert await first_release.fetchval(IS_USABLE)
    rows = await first_release.fetch(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'event_participant_key'::regclass"
    )
    assert len(rows) == 2
    assert await first_release.fetchval("SELECT to_regclass('event_participant')") is None
    assert await first_release.fetchval("SELECT count(*) FROM event") == 8


async def test_values_of_headers_are_removed_from_the_audit_log(
    first_release: asyncpg.Connection[asyncpg.Record],
) -> None:
    """What the first release wrote of a webhook's headers becomes null; entries of others stay as they are."""
    shown = '{"Connector": "webhook", "Settings": {"Url": "https://x", "Headers": {"X-A": "s3cret", "X-B": ""}}}'
    other = '{"Connector": "imis",  "Settings": {"BaseUrl": "https://x"}}'
    await first_release.executemany(
        "INSERT INTO audit (key_id, key_name, action, object_type, object_id, before, after)"
        " VALUES ('cli', 'cli', 'update', 'subscriber', $1, $2, $3)",
        [("made", None, shown), ("changed", shown, shown), ("imis", other, other)],
    )
    await pogo.apply(first_release, migrations.FOLDER, schema_name="public")

    rows = await first_release.fetch("SELECT * FROM audit WHERE object_type = 'subscriber' ORDER BY audit_id")
    cleaned = {"X-A": None, "X-B": None}
    for row, texts in zip(rows, (["after"], ["before", "after"]), strict=False):
        assert [json.loads(row[text])["Settings"]["Headers"] for text in texts] == [cleaned] * len(texts)
    assert (rows[0]["before"], rows[2]["before"], rows[2]["after"]) == (None, other, other)


async def test_the_upgrade_can_be_rolled_back(
    first_release: asyncpg.Connection[asyncpg.Record], empty_database_address: str
) -> None:
    """Rolled back, the migrations after the first one leave its database as it was, rows and names."""
    tables = await tables_of(first_release)
    before = await catalog(empty_database_address), await rows_of(first_release, tables)
    await pogo.apply(first_release, migrations.FOLDER, schema_name="public")
    later = len(list(migrations.FOLDER.glob("*.sql"))) - 1
    await pogo.rollback(first_release, migrations.FOLDER, schema_name="public", count=later)

    assert (await catalog(empty_database_address), await rows_of(first_release, tables)) == before

"""A database that is not as schema.sql says is found, whatever migrations it has."""

from __future__ import annotations

import asyncpg
import pytest
from programs import quick_command
from running import RunningHub
from write_catalog import FILE, text_of_schema

from learning_hub.services import hub_status
from learning_hub.store.database_server import DatabaseNotReadyError, bring_up_to_date


async def change(address: str, *statements: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_the_file_is_what_schema_sql_makes(empty_database_address: str) -> None:
    """catalog.json has every object of schema.sql; `make catalog` writes it."""
    assert FILE.read_text(encoding="utf-8") == await text_of_schema(empty_database_address)


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("ALTER TABLE event RENAME COLUMN xid TO xid_", "The database lacks the column xid of the table event."),
        ("ALTER TABLE participant RENAME TO participants", "The database lacks the table participant."),
        (
            "ALTER TABLE audit ALTER COLUMN action TYPE varchar(9)",
            "The column action of the table audit is character varying(9) NOT NULL, and must be text NOT NULL.",
        ),
        (
            "ALTER TABLE event DROP CONSTRAINT event_pkey",
            "The database lacks the constraint event_pkey of the table event.",
        ),
        ("DROP INDEX event_feed", "The database lacks the index event_feed of the table event."),
        ("DROP SEQUENCE event_seq CASCADE", "The database lacks the sequence event_seq."),
        (
            """CREATE OR REPLACE FUNCTION participant_folded(participant_id text) RETURNS text
               LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1)'""",
            "The function participant_folded(participant_id text) is not the one of this version.",
        ),
    ],
)
@pytest.mark.quick
async def test_a_start_on_a_changed_database_is_refused(database_address: str, statement: str, sentence: str) -> None:
    """What the hub cannot work without is named when it starts, and the doctor names it."""
    await change(database_address, statement)
    for migrate in (True, False):
        with pytest.raises(DatabaseNotReadyError) as refused:
            await bring_up_to_date(database_address, migrate=migrate)
        assert str(refused.value).startswith(f"{sentence} ")
        assert "put back a whole backup" in str(refused.value)


@pytest.mark.quick
async def test_three_differences_are_named_at_most(database_address: str) -> None:
    """An error about everything that is missing would not be read; objects of a missing table are not named."""
    await change(database_address, "DROP TABLE run, subscription, subscriber, audit, participant CASCADE")
    with pytest.raises(
        DatabaseNotReadyError, match=r"^(The database lacks the [^.]*\. ){3}[1-9][0-9]* more differ\. "
    ) as e:
        await bring_up_to_date(database_address)
    assert "column" not in str(e.value)


async def test_what_only_makes_it_slow_stops_nothing(
    hub_without_worker: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running hub reports a lost index or check among the findings of readiness, and the doctor does."""
    monkeypatch.setattr(hub_status, "CATALOG_INTERVAL_SECONDS", 0.0)
    hub = hub_without_worker
    address = hub.database.address
    assert (await hub.client.get("/health/ready")).json()["Findings"] == []
    await change(
        address,
        "DROP INDEX event_bucket",
        "ALTER TABLE api_key DROP CONSTRAINT api_key_hash_is_sha256",
        # What operators add is theirs.
        "CREATE TABLE notes (text text)",
        "ALTER TABLE event ADD COLUMN note text",
        "CREATE INDEX event_note ON event (note)",
    )
    sentences = [
        "The database lacks the check api_key_hash_is_sha256 of the table api_key.",
        "The database lacks the index event_bucket of the table event.",
    ]
    answer = await hub.client.get("/health/ready")
    assert (answer.status_code, answer.json()["Findings"]) == (200, sentences)
    await bring_up_to_date(address)

    examined = quick_command("doctor", settings={"DATABASE_URL": address, "HOME": str(hub.settings.home)})
    assert examined.exit_code == 1
    assert all(sentence in " ".join(examined.stdout.split()) for sentence in sentences)

"""The rules of deliveries cost what their text costs, and a claim reads a few rows of whatever there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from plans import nodes

from bench.claims import queries as filling
from learning_hub.connectors.kinds import KINDS
from learning_hub.model.event import REOPENED, EventType
from learning_hub.model.ids import new_uuid
from learning_hub.store import bulk_changes, migrations, queue, subscriptions
from learning_hub.store.database import Connection, Database
from learning_hub.store.delivery_transitions import queries
from learning_hub.store.queries import Queries

pytestmark = pytest.mark.quick

RULES = (
    "is_reopening",
    "sends_by_itself",
    "is_released",
    "may_have_left_keyless_row",
    "is_skipped_for_now",
    "may_be_processed_again",
    "participant_key",
    "participant_precedence",
    "withdrawal_of",
    "reopenings_after",
    "reason_not_to_send",
    "deliveries_before",
    "newer_delivered",
    "superseding_revisions",
)
CALL = re.compile(rf"\b({'|'.join(RULES)})\(")


async def functions(database: Database) -> dict[str, str]:
    """The SQL functions of the database by their names, with their text."""
    rows = await database.fetch(
        """
        SELECT proname, pg_get_functiondef(pg_proc.oid) AS text FROM pg_proc
          JOIN pg_language ON pg_language.oid = prolang
         WHERE pronamespace = 'public'::regnamespace AND lanname = 'sql'
        """
    )
    return {row["proname"]: row["text"] for row in rows}


def statements() -> Iterator[tuple[str, str]]:
    """The statements that name a rule."""
    for file in sorted(migrations.HERE.glob("*.sql")):
        if file.stem != "schema":
            for name, sql in Queries(file.stem).by_name.items():
                if CALL.search(sql):
                    yield f"{file.stem}.{name}", sql


async def generic_plan(connection: Connection, sql: str) -> dict[str, Any]:
    """The plan of a statement for any values of its parameters."""
    numbers = {int(number) for number in re.findall(r"\$(\d+)", re.sub(r"--.*", "", sql))}
    await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE planned AS {sql}")
    values = f"({', '.join(['NULL'] * len(numbers))})" if numbers else ""
    (tree,) = json.loads(await connection.fetchval(f"EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE planned{values}"))
    await connection.execute("DEALLOCATE planned")
    plan: dict[str, Any] = tree["Plan"]
    return plan


async def test_every_rule_is_used(database: Database) -> None:
    """Each rule is a function of the database, and some statement or another rule names it."""
    there = await functions(database)
    told = "".join(sql for _, sql in statements())

    assert there.keys() - {"failure_signature", "no_template_signature"} == set(RULES)
    for rule in RULES:
        others = "".join(text for name, text in there.items() if name != rule)
        assert re.search(rf"\b{rule}\(", told + others), rule


async def test_rules_are_planned_as_part_of_the_statement(database: Database) -> None:
    """In no plan a rule is called: its text has been put into every statement that names it."""
    assert len(list(statements())) >= 6
    for name, sql in statements():
        async with database.transaction() as connection:
            plan = await generic_plan(connection, sql)
        assert not CALL.search(json.dumps(plan)), name
        assert "Function Scan" not in {
            node["Node Type"] for node in nodes(plan) if node.get("Function Name") in RULES
        }, name


async def test_reopened_types_are_those_of_the_model(database: Database) -> None:
    """The database calls the same event types reopened as the model."""
    types = list(get_args(EventType))
    found = await database.fetch("SELECT type FROM unnest($1::text[]) AS type WHERE is_reopening(type)", types)

    assert {row["type"] for row in found} == REOPENED


async def test_keyless_targets_are_those_of_the_connector(database: Database) -> None:
    """The database and each kind of subscriber agree on which targets have no column for the record key."""
    panel = {"Kind": "panel", "Name": "lh_completions"}
    targets: list[dict[str, Any]] = [
        {},
        {"Kind": "activity"},
        panel,
        panel | {"KeyProperty": None},
        panel | {"KeyProperty": "RecordKey"},
    ]
    rule = "SELECT may_have_left_keyless_row($1, $2::json, key_fields) FROM connector WHERE name = $3"
    for name, kind in KINDS.items():
        for target in targets:
            found = await database.fetchval(rule, True, json.dumps(target), name)
            assert found == kind.is_keyless(target), (name, target)
    assert KINDS["imis"].is_keyless(panel)
    assert not await database.fetchval(rule, False, json.dumps(panel), "imis")


ANOTHER = """
INSERT INTO subscription (subscription_id, name, subscriber_id, program_id, event_types, target, templates,
                          start_epoch, start_snapshot)
VALUES ('another', 'Another', 'imis', 'BENCH', ARRAY['AI_COMP_SUCCESS'], '{"Kind": "activity"}', '{}', 0, '1:1:');
UPDATE delivery SET subscription_id = 'another', due_utc = now() WHERE event_seq = 2000
"""
INDEXES = {
    "delivery_due_of_subscription",
    "delivery_released",
    "delivery_sending",
    "delivery_record",
    "delivery_one_at_a_time",
    "delivery_pkey",
}


async def test_a_claim_reads_what_it_takes(database: Database) -> None:
    """A claim goes through the indexes that are made for it, and reads no more rows than a few for each delivery."""
    async with database.connection() as connection:
        await connection.execute(filling.set_up)
        for state, count in (("delivered", 20_000), ("waiting", 2_000)):
            await connection.execute(filling.fill, count, state)
        await connection.execute("ANALYZE delivery")
    values = [new_uuid(), 600.0, None, 16, 0, "withdrawn", "reopened", "superseded"]
    for mode in ("force_custom_plan", "force_generic_plan"):
        async with database.transaction() as connection:
            await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
            (tree,) = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {queries.claim}", *values))
        scans = [
            node
            for node in nodes(tree["Plan"])
            if node.get("Relation Name") == "delivery" and "Scan" in node["Node Type"]
        ]
        assert {node.get("Index Name") for node in scans} <= INDEXES
        for node in scans:
            assert (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] <= 16, node
    assert await database.fetchval("SELECT count(*) FROM delivery WHERE state = 'sending'") == 32


async def test_a_claim_does_not_read_deliveries_of_a_stopped_subscription(database: Database) -> None:
    """Thousands of due deliveries that are not held yet cost the claims of another subscription nothing."""
    async with database.connection() as connection:
        await connection.execute(filling.set_up)
        await connection.execute(filling.fill, 2000, "waiting")
        await connection.execute(ANOTHER)
        await connection.execute("ANALYZE delivery")
    async with database.transaction() as connection:
        stopped = await subscriptions.set_state(connection, "completions", "stopped")
        assert stopped
        await bulk_changes.begin_of_subscription(connection, stopped, "stop", "admin")
    values = [new_uuid(), 600.0, None, 16, 0, "withdrawn", "reopened", "superseded"]

    for mode in ("force_custom_plan", "force_generic_plan"):
        async with database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
            (tree,) = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {queries.claim}", *values))
            assert await connection.fetchval("SELECT count(*) FROM delivery WHERE state = 'sending'") == 1
            await transaction.rollback()
        for node in nodes(tree["Plan"]):
            if node.get("Relation Name") == "delivery" and "Scan" in node["Node Type"]:
                assert (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] <= 16, node


async def test_a_claim_takes_batches_beside_the_others(database: Database) -> None:
    """Subscribers that are sent batches, and those that are not, have room of their own at a worker."""
    async with database.connection() as connection:
        await connection.execute(filling.set_up)
        await connection.execute(filling.fill, 5, "waiting")
    assert await queue.claim(database, queue.Room(most=0, most_batched=3), lease_seconds=60) == []
    await database.execute("UPDATE subscriber SET connector = 'learningbuilder'")
    assert await queue.claim(database, queue.Room(most=2), lease_seconds=60) == []
    assert len(await queue.claim(database, queue.Room(most=2, most_batched=3), lease_seconds=60)) == 3

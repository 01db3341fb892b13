"""A table that a migration changes while the hub runs."""

from __future__ import annotations

import asyncpg
import pytest

from learning_hub.store.database import Database
from learning_hub.store.driver_errors import InTheWay

pytestmark = pytest.mark.quick


async def test_a_statement_from_before_is_made_anew(database: Database) -> None:
    """A query prepared before the change fails as one that was in the way, and succeeds when it is done again."""
    query = "SELECT * FROM program"
    migration = await asyncpg.connect(database.address)
    async with database.transaction() as connection:
        assert await connection.fetch(query) == []
    await migration.execute("ALTER TABLE program ADD COLUMN note text")
    await migration.close()

    with pytest.raises(InTheWay):
        async with database.transaction() as connection:
            await connection.fetch(query)
    async with database.transaction() as connection:
        assert await connection.fetch(query) == []

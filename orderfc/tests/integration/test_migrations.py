"""The migrations make exactly the tables that the program declares, and can be undone."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from chassis.db import migrations, revisions
from chassis.db.database import Database
from orderfc.config import Settings
from orderfc.repository.tables import metadata
from testkit.databases import schema_drift


async def test_the_migrated_database_equals_the_declared_tables_and_migrating_twice_changes_nothing(
    settings: Settings,
) -> None:
    await migrations.run(settings, "orderfc")
    assert await schema_drift(settings, metadata) == []
    db = Database(settings)
    await revisions.check_current(db, "orderfc")
    await db.close()


async def test_the_migrations_of_a_release_that_is_taken_back_to_leave_a_newer_database_as_it_is(
    make_database: Callable[[str], Awaitable[dict[str, Any]]],
) -> None:
    settings = Settings(**await make_database("orderfc"))
    db = Database(settings)
    async with db.driver() as connection:
        await connection.execute("UPDATE alembic_version SET version_num = 'made_by_a_newer_release'")
        assert await migrations.run(settings, "orderfc") is False
        assert await connection.fetchval("SELECT version_num FROM alembic_version") == "made_by_a_newer_release"
    await db.close()


async def test_a_database_that_is_ahead_is_current_and_one_that_is_behind_is_not(
    make_database: Callable[[str], Awaitable[dict[str, Any]]],
) -> None:
    db = Database(Settings(**await make_database("orderfc")))
    async with db.driver() as connection:
        await connection.execute("UPDATE alembic_version SET version_num = 'made_by_a_newer_release'")
        await revisions.check_current(db, "orderfc")
        await connection.execute("DELETE FROM alembic_version")
        with pytest.raises(RuntimeError, match="at revision None"):
            await revisions.check_current(db, "orderfc")
        await connection.execute("DROP TABLE alembic_version")
        with pytest.raises(RuntimeError, match="at revision None"):
            await revisions.check_current(db, "orderfc")
    await db.close()


async def test_the_migration_can_be_undone_and_done_again(
    make_database: Callable[[str], Awaitable[dict[str, Any]]],
) -> None:
    settings = Settings(**await make_database("orderfc"))
    await migrations.run(settings, "orderfc", "base")
    db = Database(settings)
    async with db.driver() as connection:
        left = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    await db.close()
    assert [row["tablename"] for row in left] == ["alembic_version"]
    await migrations.run(settings, "orderfc")

"""The migrations create the declared tables, and can be undone."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from chassis.db import migrations, revisions
from testkit.databases import schema_drift
from userfc.config import Settings
from userfc.repository.tables import metadata

from .conftest import Userfc


async def test_the_migrated_database_has_the_declared_tables(userfc: Userfc) -> None:
    await revisions.check_current(userfc.db, "userfc")
    assert await schema_drift(userfc.settings, metadata) == []


async def test_the_migration_goes_down_and_up_again(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> None:
    own = Settings(**await make_database("userfc"))
    await migrations.run(own, "userfc", "base")
    await migrations.run(own, "userfc")


async def test_the_database_itself_refuses_a_second_account_in_another_case(userfc: Userfc) -> None:
    email = await userfc.register()
    with pytest.raises(asyncpg.UniqueViolationError):
        await userfc.execute("INSERT INTO users (name, email, password_hash) VALUES ('x', $1, '')", email.upper())

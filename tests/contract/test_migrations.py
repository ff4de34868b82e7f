"""Migrations of every service, started by several replicas at once on an empty database and on a migrated one."""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

import pytest
from alembic.script import ScriptDirectory

from chassis.config.settings import ServiceSettings, load
from chassis.db import migrations, revisions
from fc.stack.layout import SERVICES
from testkit.databases import schema_drift

REPLICAS = 5


@pytest.mark.parametrize("service", SERVICES)
async def test_replicas_that_migrate_at_once_make_one_schema(
    make_database: Callable[[str], Awaitable[dict[str, Any]]], service: str
) -> None:
    cls: type[ServiceSettings] = import_module(f"{service}.config").Settings
    settings = load(cls, **await make_database("chassis"))
    for _ in ("empty", "migrated"):
        async with asyncio.timeout(60):
            await asyncio.gather(*(migrations.run(settings, service) for _ in range(REPLICAS)))
        assert await schema_drift(settings, import_module(f"{service}.repository.tables").metadata) == []


@pytest.mark.parametrize("service", SERVICES)
def test_the_names_of_the_files_tell_the_revisions_that_alembic_reads_in_them(service: str) -> None:
    script = ScriptDirectory.from_config(migrations.config(service))
    assert revisions.known(service) == [item.revision for item in script.walk_revisions()][::-1]
    assert revisions.head(service) == script.get_current_head()

"""Fresh databases for tests: each service is migrated once per session and copied from that template."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, pool
from sqlalchemy.ext.asyncio import create_async_engine

from chassis.config.settings import ServiceSettings, load
from chassis.db import migrations
from chassis.db.schema import url

T = TypeVar("T")


class Databases:
    """Makes databases on one server."""

    def __init__(self, server: dict[str, Any]) -> None:
        self._server = server
        self._templates: dict[str, str] = {}

    def _arguments(self, name: str) -> dict[str, Any]:
        return {
            "db_host": self._server["host"],
            "db_port": self._server["port"],
            "db_user": self._server["user"],
            "db_password": self._server["password"],
            "db_name": name,
        }

    async def _create(self, name: str, template: str) -> None:
        connection = await asyncpg.connect(
            host=self._server["host"],
            port=self._server["port"],
            user=self._server["user"],
            password=self._server["password"],
            database="postgres",
        )
        try:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        finally:
            await connection.close()

    async def make(self, service: str) -> dict[str, Any]:
        """Make a database with the service's schema and return arguments for its settings class."""
        if service not in self._templates:
            template = f"template_{service}_{uuid4().hex[:8]}"
            await self._create(template, "template0")
            if service != "chassis":
                settings = load(import_module(f"{service}.config").Settings, **self._arguments(template))
                await migrations.run(settings, service)
            self._templates[service] = template
        name = f"{service}_{uuid4().hex[:12]}"
        await self._create(name, self._templates[service])
        return self._arguments(name)


async def create_tables(settings: ServiceSettings, metadata: MetaData) -> None:
    """Create the tables of `metadata` that the database does not have yet."""
    await _run(settings, metadata.create_all)


async def schema_drift(settings: ServiceSettings, metadata: MetaData) -> list[Any]:
    """Return alembic's differences between the database and `metadata`; an empty list when they agree."""

    def compare(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    return await _run(settings, compare)


async def _run(settings: ServiceSettings, work: Callable[[Connection], T]) -> T:
    engine = create_async_engine(url(settings), poolclass=pool.NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()

"""Alembic inside the service's package: the installed wheel migrates its database. Replicas may do so at once."""

import asyncio
import time
from importlib import import_module
from pathlib import Path

import structlog
from alembic import command, context
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from chassis.config.settings import ServiceSettings
from chassis.db.database import Database, url
from chassis.errors import is_transient

log = structlog.get_logger(__name__)

# Any constant will do: the lock lives in the service's own database. It spells "migrate".
_LOCK = 0x6D696772617465
WAIT_FOR_DATABASE_S = 60


def config(package: str) -> Config:
    """Return the alembic configuration of a service package such as `orderfc`."""
    folder = Path(str(import_module(package).__file__)).parent / "migrations"
    result = Config()
    result.set_main_option("script_location", str(folder))
    result.set_main_option("path_separator", "os")
    return result


def head(package: str) -> str | None:
    """Return the newest revision of the package."""
    return ScriptDirectory.from_config(config(package)).get_current_head()


def run_env(metadata: MetaData) -> None:
    """Run the migrations on the connection of `run`: the body of each service's env.py."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, compare_server_default=False)
    with context.begin_transaction():
        context.run_migrations()


async def run(settings: ServiceSettings, package: str, revision: str = "head") -> None:
    """Bring the database to a revision (default: the newest) in one transaction, behind an advisory lock.

    Waits up to 60 s for a database that is not up yet, then raises its error.
    """
    engine = create_async_engine(url(settings), poolclass=pool.NullPool, connect_args={"timeout": 5})
    deadline = time.monotonic() + WAIT_FOR_DATABASE_S
    try:
        while True:
            try:
                async with engine.begin() as conn:
                    await conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
                    await conn.run_sync(_migrate, config(package), revision)
                return
            except Exception as error:
                if not is_transient(error) or time.monotonic() > deadline:
                    raise
                log.warning("waiting for the database", error=str(error))
                await asyncio.sleep(1)
    finally:
        await engine.dispose()


def _migrate(connection: Connection, configuration: Config, revision: str) -> None:
    configuration.attributes["connection"] = connection
    current = connection.execute(text("SELECT to_regclass('alembic_version')")).scalar()
    going_down = revision != "head" and current is not None and not _is_upgrade(connection, configuration, revision)
    (command.downgrade if going_down else command.upgrade)(configuration, revision)


def _is_upgrade(connection: Connection, configuration: Config, revision: str) -> bool:
    if revision == "base":
        return False
    current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if current is None:
        return True
    script = ScriptDirectory.from_config(configuration)
    older = {item.revision for item in script.iterate_revisions(current, "base")}
    return revision not in older


async def check_current(db: Database, package: str) -> None:
    """Raise RuntimeError when the database lacks a revision of the package.

    An unknown revision is a newer one and passes: migrations run before the programs that need them, and must leave the
    previous program working.
    """
    async with db.driver() as connection:
        exists = await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL")
        current = await connection.fetchval("SELECT version_num FROM alembic_version") if exists else None
    script = ScriptDirectory.from_config(config(package))
    expected = script.get_current_head()
    known = {item.revision for item in script.walk_revisions()}
    if current != expected and (current is None or current in known):
        raise RuntimeError(f"database is at revision {current}, this program needs {expected}")

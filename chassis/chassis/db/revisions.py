"""The revision of the schema that a program needs, without alembic: a running service does not import it."""

from importlib import import_module
from pathlib import Path

import asyncpg

from chassis.db.database import Database


def folder(package: str) -> Path:
    """Return the folder of the migrations of a service package such as `orderfc`."""
    return Path(str(import_module(package).__file__)).parent / "migrations"


def known(package: str) -> list[str]:
    """Return the revisions of the package, the oldest first: the numbers that the names of their files begin with."""
    return sorted(path.name.partition("_")[0] for path in (folder(package) / "versions").glob("[0-9]*.py"))


def head(package: str) -> str:
    """Return the newest revision of the package."""
    return known(package)[-1]


async def check_current(db: Database, package: str) -> None:
    """Raise RuntimeError when the database lacks a revision of the package.

    An unknown revision is a newer one and passes: migrations run before the programs that need them, and must leave the
    previous program working. Once current, a database is not asked again while all connections are in use.
    """
    async with db.spare() if db.is_migrated else db.driver() as connection:
        if connection is None:
            return
        # One statement: where each takes most of a second, two would make the service not ready.
        try:
            current = await connection.fetchval("SELECT version_num FROM alembic_version")
        except asyncpg.UndefinedTableError:
            current = None
    revisions = known(package)
    if current != revisions[-1] and (current is None or current in revisions):
        raise RuntimeError(f"database is at revision {current}, this program needs {revisions[-1]}")
    db.is_migrated = True

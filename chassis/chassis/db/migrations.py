"""Alembic inside the service's package: the installed wheel migrates its database. Replicas may do so at once."""

import asyncio
import time

import asyncpg
import structlog
from alembic import command, context, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, pool, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from chassis.config.settings import ServiceSettings
from chassis.db import revisions, roles, sessions
from chassis.db.schema import url
from chassis.db.tls import tls
from chassis.errors import Refused, causes, certificate_problem, is_transient, sql_class

log = structlog.get_logger(__name__)

# Any constant will do: the lock lives in the service's own database. It spells "migrate".
_LOCK = 0x6D696772617465
WAIT_FOR_DATABASE_S = 60
LOCK_POLL_S = 0.1
# A wrong user or password, and a database that does not exist.
_LOGIN_CLASSES = ("28", "3D")


def config(package: str) -> Config:
    """Return the alembic configuration of a service package such as `orderfc`."""
    result = Config()
    result.set_main_option("script_location", str(revisions.folder(package)))
    result.set_main_option("path_separator", "os")
    return result


def run_env(metadata: MetaData) -> None:
    """Run the migrations on the connection of `run`: the body of each service's env.py."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection, target_metadata=metadata, compare_server_default=False, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


def build_index(name: str, definition: str, *, unique: bool = False) -> None:
    """Build an index in a migration without locking out writers; `definition` is what follows ON.

    What the migration did before is committed first. An index that an interrupted run has left invalid is built again.
    """
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(f"CREATE {'UNIQUE ' if unique else ''}INDEX CONCURRENTLY {name} ON {definition}")


def drop_index(name: str) -> None:
    """Drop an index in a migration without locking out readers or writers."""
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


async def run(settings: ServiceSettings, package: str, revision: str = "head") -> bool:
    """Bring the database to a revision (default: the newest), one transaction per migration, behind an advisory lock.

    Returns False when a newer release has migrated it already: it stays as it is, so that a release can be taken back.
    DB_USER gets its rights when another role migrates, the auditor's role when there is a password for it. Waits up to
    60 s for a database that is not up yet. Raises Refused, or the error of a migration.
    """
    owner = _owner(settings)
    if reason := await sessions.problem(owner):
        raise Refused(reason)
    engine = create_async_engine(url(owner), poolclass=pool.NullPool, connect_args={"timeout": 5, "ssl": tls(settings)})
    deadline = time.monotonic() + WAIT_FOR_DATABASE_S
    try:
        while True:
            try:
                async with engine.connect() as conn:
                    await _lock(conn)
                    migrated = await conn.run_sync(_migrate, config(package), revision)
                    if revision == "head":
                        await roles.grant_all(conn, settings, owner.db_user)
                return migrated
            except Exception as error:
                if refusal := _refusal(error, is_late=time.monotonic() > deadline):
                    raise Refused(f"PostgreSQL at {settings.db_host}:{settings.db_port}: {refusal}") from error
                if not is_transient(error):
                    raise
                log.warning("waiting for the database", error=str(error))
                await asyncio.sleep(1)
    finally:
        await engine.dispose()


def _owner(settings: ServiceSettings) -> ServiceSettings:
    """Return the settings with the role that may change the schema: DB_MIGRATION_USER, or else DB_USER."""
    if settings.db_migration_user is None:
        return settings
    password = settings.db_migration_password or settings.db_password
    return settings.model_copy(update={"db_user": settings.db_migration_user, "db_password": password})


async def _lock(conn: AsyncConnection) -> None:
    """Take the lock for as long as the session lasts.

    A statement that waits for the lock would hold a snapshot, and CREATE INDEX CONCURRENTLY waits for all snapshots.
    """
    while not (await conn.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK})).scalar():
        await conn.commit()
        await asyncio.sleep(LOCK_POLL_S)
    await conn.commit()


def _refusal(error: BaseException, *, is_late: bool) -> str | None:
    """Say what only a person can mend: a certificate, a login, a missing right, or a server that stays away."""
    for seen in causes(error):
        if sql_class(seen) in _LOGIN_CLASSES or isinstance(seen, asyncpg.InsufficientPrivilegeError):
            return str(seen)
    if problem := certificate_problem(error):
        return problem
    return f"has not answered for {WAIT_FOR_DATABASE_S} s ({error})" if is_late and is_transient(error) else None


def _migrate(connection: Connection, configuration: Config, revision: str) -> bool:
    configuration.attributes["connection"] = connection
    current = connection.execute(text("SELECT to_regclass('alembic_version')")).scalar()
    going_down = revision != "head" and current is not None and not _is_upgrade(connection, configuration, revision)
    newer = _newer_revision(connection, configuration) if revision == "head" and current is not None else None
    connection.commit()
    if newer is not None:
        log.warning("a newer release has migrated the database, it stays as it is", revision=newer)
        return False
    (command.downgrade if going_down else command.upgrade)(configuration, revision)
    return True


def _newer_revision(connection: Connection, configuration: Config) -> str | None:
    """Return the revision of the database when this program does not know it."""
    current: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    known = {item.revision for item in ScriptDirectory.from_config(configuration).walk_revisions()}
    return None if current is None or current in known else current


def _is_upgrade(connection: Connection, configuration: Config, revision: str) -> bool:
    if revision == "base":
        return False
    current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if current is None:
        return True
    script = ScriptDirectory.from_config(configuration)
    older = {item.revision for item in script.iterate_revisions(current, "base")}
    return revision not in older

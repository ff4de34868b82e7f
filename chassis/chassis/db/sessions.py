"""Checks that each connection has a session of its own, as the relay's lock and prepared statements need."""

from contextlib import suppress

import asyncpg

from chassis.config.settings import ServiceSettings
from chassis.db.database import connect

TIMEOUT_S = 2
_TIMEOUTS = {"timeout": TIMEOUT_S, "command_timeout": TIMEOUT_S}


async def problem(settings: ServiceSettings) -> str | None:
    """Return a sentence when two connections share a session: a pooler such as pgbouncer is in transaction mode.

    None also while the database can't be reached.
    """
    connections: list[asyncpg.Connection] = []
    try:
        # Both stay open, so a server or a pooler in session mode gives each a session of its own.
        # Without settings of the session, which a pooler may refuse, and without named statements.
        connections += [await connect(settings, statement_cache_size=0, **_TIMEOUTS)]
        connections += [await connect(settings, statement_cache_size=0, **_TIMEOUTS)]
        first, second = [await _session_id(connection) for connection in connections]
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        return None
    finally:
        for connection in connections:
            with suppress(Exception):
                await connection.close(timeout=TIMEOUT_S)
    if first != second:
        return None
    return (
        f"the database at {settings.db_host}:{settings.db_port} is behind a connection pooler in transaction mode; "
        "use session mode or connect directly, because the relay holds a session lock and statements are prepared"
    )


async def _session_id(connection: asyncpg.Connection) -> int:
    async with connection.transaction():
        return int(await connection.fetchval("SELECT pg_backend_pid()"))

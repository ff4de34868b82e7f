"""The service's database: one pool per process, SQL text on asyncpg's connections, transactions that publish events."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg

from chassis.config.settings import ServiceSettings
from chassis.db.outbox import append
from chassis.db.pool import Pool, PooledConnection
from chassis.db.tls import tls
from chassis.db.traced import TracedConnection
from chassis.events import Event
from chassis.failpoint import failpoint

POOL_SIZE = 8
CONNECT_TIMEOUT_S = 5
COMMAND_TIMEOUT_S = 10
# A probe waits so long for a connection while all are in use, when the database has answered within ANSWERED_S.
SPARE_S = 0.5
ANSWERED_S = 2
_IDLE_TIMEOUTS = ("idle_session_timeout", "idle_in_transaction_session_timeout")


async def connect(settings: ServiceSettings, **options: Any) -> asyncpg.Connection:
    """Open a connection outside the pool, with options of asyncpg. The caller closes it."""
    given = {"timeout": CONNECT_TIMEOUT_S, "command_timeout": COMMAND_TIMEOUT_S} | options
    connection: asyncpg.Connection = await asyncpg.connect(**_address(settings), **given)
    return connection


def _address(settings: ServiceSettings) -> dict[str, Any]:
    return {
        "host": settings.db_host,
        "port": settings.db_port,
        "user": settings.db_user,
        "password": settings.db_password.get_secret_value(),
        "database": settings.db_name,
        "ssl": tls(settings),
    }


def session_settings(settings: ServiceSettings) -> dict[str, str]:
    """Return what a service sets in each session of its database."""
    return {
        "application_name": settings.service,
        "statement_timeout": "5000",
        "idle_in_transaction_session_timeout": "15000",
        # Compiling a plan takes longer than any statement here.
        "jit": "off",
        # What is read often has an index. A plan that is kept may have been made while its tables were empty: it would
        # read them whole, however large they have become, until the next ANALYZE (ADR 24).
        "enable_seqscan": "off",
        # To plan a statement again for its values takes longer than to run it.
        "plan_cache_mode": "force_generic_plan",
    }


class Tx:
    """One open transaction. What is executed and published in it is committed together, or not at all."""

    def __init__(self, driver: asyncpg.Connection) -> None:
        self._driver = driver
        self.published = False

    def driver(self) -> asyncpg.Connection:
        """Return asyncpg's connection, inside the transaction."""
        return self._driver

    async def publish(self, *events: Event) -> None:
        """Write outbox rows. The events are sent only after this transaction has committed."""
        if events:
            await append(self._driver, events)
            self.published = True


class Database:
    """The service's own database. A read is one statement that commits by itself, without BEGIN and COMMIT."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.relay_wake = asyncio.Event()
        # By the time of the event loop.
        self.outbox_counted_at = float("-inf")
        self.is_migrated = False
        self._answered_at = float("-inf")
        self._pool = Pool(
            POOL_SIZE,
            kind=TracedConnection if settings.otel_database_spans else PooledConnection,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings=session_settings(settings),
            **_address(settings),
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """Open a transaction. It commits when the block ends and rolls back when it raises; then the relay is woken."""
        async with self.driver() as driver:
            tx = Tx(driver)
            async with driver.transaction():
                yield tx
                await failpoint("db.before_commit")
            await failpoint("db.after_commit")
        if tx.published:
            self.wake_relay()

    @asynccontextmanager
    async def driver(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend asyncpg's connection from the pool, with no transaction open: each statement commits by itself."""
        async with self._pool.lend() as driver:
            yield driver
            self._answered_at = time.monotonic()

    async def dedicated(self, idle_s: int = 0) -> asyncpg.Connection:
        """Open a connection outside the pool, for a session lock. The caller closes it.

        The server ends it when it was idle for `idle_s` seconds, inside a transaction or not; 0: it does not.
        """
        # A host that is gone loses its lock after 25 s: 10 s + 3 * 5 s.
        keepalives = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
        idle = {name: f"{idle_s}s" for name in _IDLE_TIMEOUTS} if idle_s else {}
        return await connect(self.settings, server_settings=session_settings(self.settings) | keepalives | idle)

    def wake_relay(self) -> None:
        """Wake this process's relay. A lost hint costs one poll interval."""
        self.relay_wake.set()

    @asynccontextmanager
    async def spare(self) -> AsyncIterator[asyncpg.Connection | None]:
        """Lend a connection as `driver` does, or None while others use all of them and the database answers those.

        A probe that waited behind them would call a busy database a broken one.
        """
        answers = time.monotonic() - self._answered_at < ANSWERED_S
        lent = AsyncExitStack()
        try:
            async with asyncio.timeout(SPARE_S if answers else None):
                connection = await lent.enter_async_context(self.driver())
        except TimeoutError:
            if not answers:
                raise
            yield None
            return
        async with lent:
            yield connection

    async def ping(self) -> None:
        async with self.spare() as connection:
            if connection is not None:
                await connection.execute("SELECT 1")

    async def close(self) -> None:
        await self._pool.close()

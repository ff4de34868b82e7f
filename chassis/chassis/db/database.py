"""The service's database: one pool per process, SQL text on asyncpg's connections, transactions that publish events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
from sqlalchemy import URL, MetaData, event, exc
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from chassis.config.settings import ServiceSettings
from chassis.db.outbox import append
from chassis.events import Event
from chassis.failpoint import failpoint

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

POOL_SIZE = 8
ACQUIRE_TIMEOUT_S = 2
CONNECT_TIMEOUT_S = 5
COMMAND_TIMEOUT_S = 10


def metadata_factory() -> MetaData:
    """Return metadata whose constraints have names, which migrations need."""
    return MetaData(naming_convention=NAMING)


def url(settings: ServiceSettings) -> URL:
    """Return the SQLAlchemy URL of the service's own database."""
    return URL.create(
        "postgresql+asyncpg",
        username=settings.db_user,
        password=settings.db_password.get_secret_value(),
        host=settings.db_host,
        port=settings.db_port,
        database=settings.db_name,
    )


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
    """The service's own database.

    SQLAlchemy's engine keeps the pool, in autocommit; `transaction()` opens the transaction on the driver. A read pays
    for no BEGIN and no ROLLBACK.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.relay_wake = asyncio.Event()
        self.engine = create_async_engine(
            url(settings),
            isolation_level="AUTOCOMMIT",
            pool_size=POOL_SIZE,
            max_overflow=0,
            pool_timeout=ACQUIRE_TIMEOUT_S,
            connect_args={
                "timeout": CONNECT_TIMEOUT_S,
                "command_timeout": COMMAND_TIMEOUT_S,
                "server_settings": self._server_settings(),
            },
        )
        event.listen(self.engine.sync_engine, "checkout", _refuse_closed)

    def _server_settings(self) -> dict[str, str]:
        return {
            "application_name": self.settings.service,
            "statement_timeout": "5000",
            "idle_in_transaction_session_timeout": "15000",
        }

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """Open a transaction. It commits when the block ends and rolls back when it raises; then the relay is woken."""
        async with self.engine.connect() as conn:
            driver = await _driver_of(conn)
            tx = Tx(driver)
            async with _invalidating(conn, driver), driver.transaction():
                yield tx
                await failpoint("db.before_commit")
            await failpoint("db.after_commit")
        if tx.published:
            self.wake_relay()

    @asynccontextmanager
    async def driver(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend asyncpg's connection from the pool, with no transaction open: each statement commits by itself."""
        async with self.engine.connect() as conn:
            driver = await _driver_of(conn)
            async with _invalidating(conn, driver):
                yield driver

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Lend SQLAlchemy's connection."""
        async with self.engine.connect() as conn:
            yield conn

    async def dedicated(self) -> asyncpg.Connection:
        """Open a connection outside the pool, for a session lock. The caller closes it."""
        settings = self.settings
        connection: asyncpg.Connection = await asyncpg.connect(
            host=settings.db_host,
            port=settings.db_port,
            user=settings.db_user,
            password=settings.db_password.get_secret_value(),
            database=settings.db_name,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            # A host that is gone loses its lock after 25 s: 10 s + 3 * 5 s.
            server_settings=self._server_settings()
            | {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"},
        )
        return connection

    def wake_relay(self) -> None:
        """Wake this process's relay. A lost hint costs one poll interval."""
        self.relay_wake.set()

    async def ping(self) -> None:
        async with self.driver() as connection:
            await connection.execute("SELECT 1")

    async def close(self) -> None:
        await self.engine.dispose()


async def _driver_of(conn: AsyncConnection) -> asyncpg.Connection:
    return cast("asyncpg.Connection", (await conn.get_raw_connection()).driver_connection)


@asynccontextmanager
async def _invalidating(conn: AsyncConnection, driver: asyncpg.Connection) -> AsyncIterator[None]:
    """Remove a connection from the pool when it breaks under a driver statement, which SQLAlchemy does not notice."""
    try:
        yield
    except BaseException as error:
        if driver.is_closed() or isinstance(error, asyncio.CancelledError | TimeoutError | asyncpg.InternalClientError):
            await asyncio.shield(conn.invalidate())
        raise


def _refuse_closed(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:
    """Make the pool replace a connection that the server has closed, without a round trip."""
    if dbapi_connection.driver_connection.is_closed():
        raise exc.DisconnectionError

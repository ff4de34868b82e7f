"""The pool: asyncpg's own, with a bounded wait, and without connections whose state is unknown or out of date."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import asyncpg
from prometheus_client import Counter, Gauge

from chassis.errors import SCHEMA_CHANGED
from chassis.metrics import Histogram

ACQUIRE_TIMEOUT_S = 2
# How long a connection that is given up may take to cancel its statement and to close, before it is cut.
DISCARD_S = 2
CLOSE_S = 5

_NAME = "db_client_connection_pool_name"
COUNT = Gauge("db_client_connection_count", "Open connections of the pool, by what they do", [_NAME, "state"])
WAITS = Histogram(
    "db_client_connection_wait_time_seconds", "Time until a connection was lent, the opening of one included", [_NAME]
)
TIMEOUTS = Counter("db_client_connection_timeouts_total", "Requests for a connection that waited too long", [_NAME])

_BREAKING = (asyncio.CancelledError, TimeoutError, asyncpg.InternalClientError)
_CONCERNS_ALL = (*SCHEMA_CHANGED, asyncpg.ReadOnlySQLTransactionError)


# PostgreSQL's own types have the same number on every server below this one.
_FIRST_OWN_TYPE = 16_384


class PooledConnection(asyncpg.Connection):
    """A connection that knows the pool's generation in which it was opened.

    `known_types` is shared by the connections of a pool: asyncpg asks each of them anew what an array of numbers is,
    with a statement that takes PostgreSQL 10 to 25 ms.
    """

    __slots__ = ("generation", "known_types")
    generation: int
    known_types: dict[int, asyncpg.Record]

    async def _introspect_types(self, typeoids: Any, timeout: float | None) -> Any:
        types, statement = await cast(Any, super())._introspect_types(typeoids, timeout)
        self.known_types.update({row["oid"]: row for row in types if row["oid"] < _FIRST_OWN_TYPE})
        return types, statement

    def share_types(self, known: dict[int, asyncpg.Record]) -> None:
        """Take the types that other connections have asked for, and give those that this one asks for."""
        self.known_types = known
        cast(Any, self)._protocol.get_settings().register_data_types(list(known.values()))


class Pool:
    """Lends at most `size` connections, each to one caller at a time. `arguments` are those of `asyncpg.connect`."""

    def __init__(self, size: int, *, kind: type[PooledConnection] = PooledConnection, **arguments: Any) -> None:
        self._size = size
        self._kind = kind
        self._arguments = arguments
        # asyncpg's pool belongs to the event loop, so it is made by the first caller.
        self._pool: asyncpg.Pool | None = None
        self._turns = asyncio.Semaphore(size)
        self._generation = 0
        self._known_types: dict[int, asyncpg.Record] = {}
        name = str(arguments.get("database", ""))
        self._waits, self._timeouts = WAITS.labels(name), TIMEOUTS.labels(name)
        COUNT.labels(name, "used").set_function(lambda: self._open - self._idle)
        COUNT.labels(name, "idle").set_function(lambda: self._idle)

    @property
    def _open(self) -> int:
        return self._pool.get_size() if self._pool is not None else 0

    @property
    def _idle(self) -> int:
        return self._pool.get_idle_size() if self._pool is not None else 0

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection. Raises TimeoutError when none becomes free within ACQUIRE_TIMEOUT_S.

        The connection is given up when the block leaves it broken, which the next caller would have to find out. All
        are replaced when the error concerns each of them: a migration has changed what their prepared statements
        return, or the server has become read-only, and its name may lead to another server by now.
        """
        started = time.perf_counter()
        await self._wait_for_turn()
        try:
            connection = await self._acquire()
            self._waits.observe(time.perf_counter() - started)
            try:
                yield connection
            except BaseException as error:
                if isinstance(error, _CONCERNS_ALL) and _generation_of(connection) == self._generation:
                    self._generation += 1
                if isinstance(error, _BREAKING) or _is_broken(connection):
                    await _discard(connection)
                else:
                    await self._release(connection)
                raise
            await self._release(connection)
        finally:
            self._turns.release()

    async def close(self) -> None:
        """Close all connections, those that are lent after CLOSE_S."""
        if self._pool is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._pool.close()

    async def _wait_for_turn(self) -> None:
        if not self._turns.locked():
            await self._turns.acquire()
            return
        try:
            async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
                await self._turns.acquire()
        except TimeoutError as error:
            self._timeouts.inc()
            raise TimeoutError(f"no database connection within {ACQUIRE_TIMEOUT_S} s") from error

    async def _acquire(self) -> asyncpg.Connection:
        pool = await self._opened()
        while True:
            connection = cast("asyncpg.Connection", await pool.acquire())
            if not connection.is_closed() and _generation_of(connection) == self._generation:
                return connection
            await _discard(connection)

    async def _release(self, connection: asyncpg.Connection) -> None:
        if self._pool is not None:
            await self._pool.release(cast(Any, connection))

    async def _opened(self) -> asyncpg.Pool:
        if self._pool is None:
            options: dict[str, Any] = {
                "min_size": 0,
                "max_size": self._size,
                "max_queries": 2**62,
                "max_inactive_connection_lifetime": 0,
                "connection_class": self._kind,
                "connect": _connect,
                "init": self._prepare,
                "reset": _keep_session,
            }
            self._pool = asyncpg.create_pool(**options, **self._arguments)
            await self._pool
        return self._pool

    async def _prepare(self, connection: PooledConnection) -> None:
        connection.generation = self._generation
        connection.share_types(self._known_types)


async def _connect(*arguments: Any, **named: Any) -> asyncpg.Connection:
    """Connect to the end although the caller is cancelled, and close what it does not take.

    asyncpg leaves an error that none retrieves, when it is cancelled between the connection and its first byte.
    """
    opening = asyncio.create_task(asyncpg.connect(*arguments, **named))
    try:
        return cast("asyncpg.Connection", await asyncio.shield(opening))
    except asyncio.CancelledError:
        opening.add_done_callback(_drop)
        raise


def _drop(opening: "asyncio.Task[asyncpg.Connection]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().terminate()


async def _keep_session(_connection: asyncpg.Connection) -> None:
    """Skip the reset of the session, a round trip: no statement changes a session."""


def _generation_of(connection: asyncpg.Connection) -> int:
    return cast("PooledConnection", connection).generation


def _is_broken(connection: asyncpg.Connection) -> bool:
    """Say whether it is closed, or inside a transaction that could not even be rolled back."""
    try:
        return connection.is_closed() or connection.is_in_transaction()
    except asyncpg.InterfaceError:
        # It was closed and has left the pool already.
        return True


async def _discard(connection: asyncpg.Connection) -> None:
    """Close a connection. asyncpg cuts it when closing fails, takes too long or is cancelled."""
    with suppress(Exception):
        async with asyncio.timeout(DISCARD_S):
            await connection.close()

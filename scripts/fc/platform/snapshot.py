"""The four databases, read only: each as of one moment, all four moments as close together as possible."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

import asyncpg

from fc.platform.errors import CouldNotCheck
from fc.platform.topics import is_uuid

CONNECT_S = 5
# The session can't write, whatever its statements are. To sort an outbox takes some memory.
SESSION = {
    "application_name": "fc audit",
    "default_transaction_read_only": "on",
    "work_mem": "32MB",
    "jit": "off",
    "timezone": "UTC",
}
_CLOCKS = "SELECT now(), statement_timestamp()"
_APPLIED = "SELECT event_id FROM inbox WHERE consumer = $1 AND event_id = ANY($2::uuid[])"


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a database, the role that signs in, and asyncpg's argument `ssl`."""

    host: str
    port: int
    user: str
    password: str
    database: str
    tls: ssl.SSLContext | Literal["disable", "prefer"] = "prefer"


async def connect(address: Address, session: Mapping[str, str]) -> asyncpg.Connection:
    """Open a connection with these server settings. Raises what asyncpg raises, and a TimeoutError that says so."""
    try:
        connection: asyncpg.Connection = await asyncpg.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password,
            database=address.database,
            ssl=address.tls,
            timeout=CONNECT_S,
            server_settings=dict(session),
        )
    except TimeoutError:
        raise TimeoutError(f"no answer within {CONNECT_S:g} s") from None
    return connection


@asynccontextmanager
async def connected(service: str, address: Address) -> AsyncIterator[asyncpg.Connection]:
    """Open a session that can't write. Raises CouldNotCheck."""
    try:
        connection = await connect(address, SESSION)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise CouldNotCheck(f"the database of {service} at {address.host}:{address.port}: {error}") from error
    try:
        yield connection
    finally:
        await connection.close()


class Snapshot:
    """One repeatable-read transaction per service. A connection serves one statement at a time."""

    def __init__(self, connections: Mapping[str, asyncpg.Connection], now: datetime, machine_now: datetime) -> None:
        self._connections = connections
        self.now = now
        """The latest of the four databases' clocks."""
        self.machine_now = machine_now
        """The same without what `fc clock` has added: what records of Kafka are compared with."""

    @classmethod
    @asynccontextmanager
    async def taken(cls, addresses: Mapping[str, Address]) -> AsyncIterator[Self]:
        """Take the snapshots at the same time. Raises CouldNotCheck."""
        async with AsyncExitStack() as stack:
            connections = {
                service: await stack.enter_async_context(connected(service, address))
                for service, address in addresses.items()
            }
            for connection in connections.values():
                await stack.enter_async_context(connection.transaction(isolation="repeatable_read", readonly=True))
            # A snapshot begins with the first statement.
            clocks = await asyncio.gather(*(connection.fetchrow(_CLOCKS) for connection in connections.values()))
            yield cls(connections, *map(max, zip(*clocks, strict=True)))

    async def fetch(self, service: str, sql: str, *values: Any) -> list[asyncpg.Record]:
        """Run a statement that returns few rows."""
        return await self._connections[service].fetch(sql, *values)

    async def count(self, service: str, sql: str) -> int:
        """Run a statement that returns one number."""
        return int(await self._connections[service].fetchval(sql))

    async def applied(self, service: str, events: Mapping[UUID, str]) -> set[UUID]:
        """Return which of these events, identity -> event id, are in the inbox of a service, by their identity.

        Versions before identities have kept an event id that is a UUID as it was.
        """
        if not events:
            return set()
        older = {UUID(event_id): identity for identity, event_id in events.items() if is_uuid(event_id)}
        rows = await self.fetch(service, _APPLIED, service, [*events, *older])
        return {older.get(row["event_id"], row["event_id"]) for row in rows}

    async def batches(
        self, service: str, sql: str, *values: Any, size: int = 2_000
    ) -> AsyncIterator[Sequence[asyncpg.Record]]:
        """Stream the rows of a statement through a cursor on the server, `size` rows at a time."""
        cursor = await self._connections[service].cursor(sql, *values)
        while rows := await cursor.fetch(size):
            yield rows

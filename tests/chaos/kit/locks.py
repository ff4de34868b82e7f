"""Locks that a test holds in a database, so that the statements of a service wait until the test lets them go on.

A statement of a service waits for a lock at most 5 s and is then tried again.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena

_GATE = 0x6761_7465
COMMIT_FAILS = "RAISE EXCEPTION 'refused by the test' USING ERRCODE = 'check_violation'"
COMMIT_WAITS = f"PERFORM pg_advisory_xact_lock({_GATE})"
"""What `at_commit` can do: fail the transaction, or have it wait until `commit_gate` ends."""

_ANY_WAITERS = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
_ADVISORY_WAITERS = """
FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@asynccontextmanager
async def _lock(arena: Arena, service: str, statement: str, *values: object) -> AsyncIterator[asyncpg.Connection]:
    """Hold what a statement locks in a service's database until the block ends."""
    connection = await arena.stack.programs.postgres.connect(service)
    try:
        async with connection.transaction():
            await connection.execute(statement, *values)
            yield connection
    finally:
        await connection.close()
    arena.healed()


@asynccontextmanager
async def table_locked(
    arena: Arena, service: str, table: str, besides: str = ""
) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Lock a table against every statement. Yields a function that counts the sessions that wait.

    Statements with the text `besides` do not count: those of a loop that may run at any time.
    """
    async with _lock(arena, service, f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE") as connection:

        async def waiters() -> int:
            counted = "($1 = '' OR strpos(query, $1) = 0)"
            return int(await connection.fetchval(f"SELECT count(*) {_ANY_WAITERS} AND {counted}", besides))

        yield waiters


@asynccontextmanager
async def products_locked(arena: Arena, *products: dict[str, Any]) -> AsyncIterator[asyncpg.Connection]:
    """Lock the rows of products against changes."""
    rows = "SELECT 1 FROM products WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE"
    async with _lock(arena, "productfc", rows, [product["id"] for product in products]) as connection:
        yield connection


@asynccontextmanager
async def requests_locked(arena: Arena, orders: Sequence[int]) -> AsyncIterator[None]:
    """Lock the invoice requests of orders; schedulers skip them."""
    rows = "SELECT 1 FROM payment_requests WHERE order_id = ANY($1::bigint[]) FOR UPDATE"
    async with _lock(arena, "paymentfc", rows, orders):
        yield


@asynccontextmanager
async def payment_locked(arena: Arena, order: int) -> AsyncIterator[asyncpg.Connection]:
    """Hold what paymentfc locks to work on an order: the row of its payment; claims skip it."""
    row = "SELECT 1 FROM payments WHERE order_id = $1 FOR UPDATE"
    async with _lock(arena, "paymentfc", row, order) as connection:
        yield connection


@asynccontextmanager
async def commit_gate(arena: Arena, service: str) -> AsyncIterator[asyncpg.Connection]:
    """Have commits with COMMIT_WAITS wait until the block ends."""
    async with _lock(arena, service, "SELECT pg_advisory_xact_lock($1)", _GATE) as connection:
        yield connection


async def wait_for_waiters(connection: asyncpg.Connection, count: int = 1, *, advisory: bool = False) -> None:
    """Wait until so many sessions of the connection's database wait for a lock, or for an advisory lock."""
    query = f"SELECT count(*) {_ADVISORY_WAITERS if advisory else _ANY_WAITERS}"

    async def reached() -> bool:
        return bool(await connection.fetchval(query) >= count)

    await poll(reached, f"{count} sessions wait for a lock", 20, 0.02)


async def end_waiters(connection: asyncpg.Connection) -> None:
    """Terminate the sessions of the connection's database that wait for a lock."""
    await connection.execute(f"SELECT pg_terminate_backend(pid) {_ANY_WAITERS}")


@asynccontextmanager
async def at_commit(arena: Arena, service: str, table: str, row: str, action: str) -> AsyncIterator[None]:
    """Have the database run `action` when a transaction that wrote such a row commits, after all its statements.

    `row` is a condition on NEW, `action` a PL/pgSQL statement: COMMIT_FAILS or COMMIT_WAITS.
    """
    await arena.sql(
        service,
        f"CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {action}; RETURN NULL; END $$",
    )
    try:
        await arena.sql(
            service,
            f"CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT OR UPDATE ON {table} DEFERRABLE INITIALLY DEFERRED"
            f" FOR EACH ROW WHEN ({row}) EXECUTE FUNCTION at_commit()",
        )
        yield
    finally:
        await arena.sql(service, "DROP FUNCTION at_commit() CASCADE")
    arena.healed()

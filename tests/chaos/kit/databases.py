"""What tests read and arrange in the databases: statements of the superuser, counts of rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena


async def administer(arena: Arena, *statements: str, database: str = "postgres") -> None:
    """Run statements as PostgreSQL's superuser."""
    connection = await arena.stack.programs.postgres.connect(database)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def key_exists(arena: Arena, key: str) -> bool:
    """Whether a request holds an idempotency key, or is done with it."""
    return bool(await arena.sql("orderfc", "SELECT true FROM idempotency_keys WHERE key = $1", key))


async def orders_for(arena: Arena, product: dict[str, Any]) -> int:
    """Count the orders that hold a product."""
    rows = await arena.sql("orderfc", "SELECT count(*) FROM order_items WHERE product_id = $1", product["id"])
    return int(rows[0][0])


async def row_counts(arena: Arena) -> dict[str, int]:
    """Count the rows of the tables that a forged or malformed request could change."""
    tables = {"userfc": ("users",), "orderfc": ("orders", "outbox"), "paymentfc": ("payments", "payment_callbacks")}
    return {
        f"{service}.{table}": (await arena.sql(service, f"SELECT count(*) FROM {table}"))[0][0]
        for service, names in tables.items()
        for table in names
    }


async def cancelled_orders(arena: Arena, orders: list[int], count: int) -> list[int]:
    """Wait until so many of the orders are cancelled and return those."""

    async def reached() -> list[int]:
        rows = await arena.sql("orderfc", "SELECT id FROM orders WHERE id = ANY($1::bigint[]) AND status = 3", orders)
        return [int(row["id"]) for row in rows] if len(rows) >= count else []

    found = list(await poll(reached, f"{count} orders are cancelled", 60, 0.05))
    assert len(found) == count
    return found


@asynccontextmanager
async def redis_client(arena: Arena) -> AsyncIterator[redis.asyncio.Redis]:
    """Connect to Redis without the proxy."""
    password = arena.stack.programs.environment("productfc")["REDIS_PASSWORD"]
    client = redis.asyncio.Redis(port=arena.stack.layout.port("redis"), password=password)
    try:
        yield client
    finally:
        await client.aclose()

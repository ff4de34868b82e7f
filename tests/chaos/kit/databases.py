"""What tests read and arrange in the databases: statements of the superuser, counts of rows."""

from typing import Any

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

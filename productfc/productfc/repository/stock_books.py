"""What the ledger and the adjustments say of an order and of a product, for administrators."""

import asyncpg

from chassis.db.database import Database

Row = asyncpg.Record

MAX_ROWS = 1_000
MAX_ADJUSTMENTS = 100

_OF_ORDER = """
SELECT product_id, quantity, state, event_id, created_at, updated_at FROM stock_ledger
WHERE order_id = $1 ORDER BY product_id LIMIT $2
"""
_PRODUCT = "SELECT id, name, stock, created_at, deleted_at FROM products WHERE id = $1"
# Read first and sorted then. Along the primary key, the adjustments of all other products would be read.
_ADJUSTMENTS = """
WITH own AS MATERIALIZED (SELECT id, units, cause, created_at FROM stock_adjustments WHERE product_id = $1)
SELECT * FROM own ORDER BY id DESC LIMIT $2
"""


async def of_order(db: Database, order_id: int) -> list[Row]:
    """Read the ledger of an order by product; no row when no stock event of it was applied."""
    async with db.driver() as connection:
        return list(await connection.fetch(_OF_ORDER, order_id, MAX_ROWS))


async def of_product(db: Database, product_id: int) -> tuple[Row, list[Row]] | None:
    """Read a product, also one that is not on sale any more, and its last adjustments, newest first."""
    async with db.driver() as connection:
        product = await connection.fetchrow(_PRODUCT, product_id)
        if product is None:
            return None
        return product, list(await connection.fetch(_ADJUSTMENTS, product_id, MAX_ADJUSTMENTS))

"""The SQL on placed orders: reading, and erasing addresses."""

from collections.abc import Collection

import asyncpg

from chassis.db.database import Database, Tx
from orderfc.model import Status

# Replaces an address whose retention has ended. Also in the condition of a partial index.
ERASED = "erased"

_QUANTITIES = """
SELECT order_id, product_id, quantity FROM order_items WHERE order_id = ANY($1::bigint[]) ORDER BY order_id, product_id
"""

# The JSON of the answer, as text: to make it here would hold up all other requests, for 0.15 s with a page of 10,000
# lines, and the driver's decoder would turn amounts into binary floats.
_WIRE = f"('{{{','.join(status.wire for status in Status)}}}'::text[])"
_VIEW = f"""
SELECT o.id, json_build_object(
  'order_id', o.id, 'total_amount', trim_scale(o.total_amount), 'total_qty', o.total_qty,
  'payment_method', o.payment_method, 'shipping_address', o.shipping_address,
  'products', (
    SELECT json_agg(json_build_object('product_id', i.product_id, 'quantity', i.quantity, 'price', trim_scale(i.price))
                    ORDER BY i.product_id)
    FROM order_items i WHERE i.order_id = o.id),
  'history', (
    SELECT json_agg(json_build_object(
      'status', {_WIRE}[h.status + 1],
      'timestamp', to_char(h.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) ORDER BY h.id)
    FROM order_history h WHERE h.order_id = o.id),
  'status', {_WIRE}[o.status + 1])::text AS view
FROM orders o
"""
_ONE = f"{_VIEW} WHERE o.id = $1 AND ($2::bigint IS NULL OR o.user_id = $2)"
# A statement per shape: a condition that may be switched off can't be a condition of an index.
_PAGE = f"{_VIEW} WHERE o.user_id = $1 AND o.id < $2 ORDER BY o.id DESC LIMIT $3"
_PAGE_OF_STATUS = f"{_VIEW} WHERE o.user_id = $1 AND o.status = $4 AND o.id < $2 ORDER BY o.id DESC LIMIT $3"
_NO_ID = 2**63 - 1
# Orders that are still open keep what they need.
_ERASE = f"""
UPDATE orders SET shipping_address = '{ERASED}' WHERE id = ANY(ARRAY(
  SELECT id FROM orders WHERE shipping_address <> '{ERASED}' AND status <> 0
    AND created_at < now() - $1 * interval '1 day'
  ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))
"""


async def quantities(tx: Tx, order_ids: Collection[int]) -> dict[int, list[tuple[int, int]]]:
    """List the (product id, quantity) pairs of orders by product id."""
    lines: dict[int, list[tuple[int, int]]] = {order_id: [] for order_id in order_ids}
    for order_id, product_id, quantity in await tx.driver().fetch(_QUANTITIES, order_ids):
        lines[order_id].append((product_id, quantity))
    return lines


async def view(db: Database, order_id: int, owner: int | None) -> str | None:
    """Read an order as the JSON text of its answer, or None for an unknown order or another owner's."""
    async with db.driver() as connection:
        text: str | None = await connection.fetchval(_ONE, order_id, owner, column=1)
    return text


async def view_in(tx: Tx, order_id: int) -> str:
    """Read an order as a transaction has left it."""
    text: str = await tx.driver().fetchval(_ONE, order_id, None, column=1)
    return text


async def history(
    db: Database, user_id: int, *, before_id: int | None, status: Status | None, limit: int
) -> list[tuple[int, str]]:
    """Read a user's orders, newest first: at most `limit`, older than `before_id`, as pairs of id and JSON text."""
    arguments = (user_id, _NO_ID if before_id is None else before_id, limit)
    async with db.driver() as connection:
        if status is None:
            rows = await connection.fetch(_PAGE, *arguments)
        else:
            rows = await connection.fetch(_PAGE_OF_STATUS, *arguments, int(status))
    return [(row["id"], row["view"]) for row in rows]


async def erase_addresses(driver: asyncpg.Connection, limit: int, *, days: int) -> int:
    """Replace the address of up to `limit` closed orders older than `days`. Return how many."""
    result: str = await driver.execute(_ERASE, days, limit)
    return int(result.rsplit(maxsplit=1)[-1])

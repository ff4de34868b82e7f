"""All SQL on the stock ledger: few statements, because every order runs them."""

from collections.abc import Sequence
from uuid import UUID

from chassis.db.database import Tx
from productfc.model import Decision, Entry, LedgerState

# The first half of the advisory lock's key: an arbitrary constant that keeps these locks apart from others.
_LOCK_CLASS = 0x53544F43
# A separate statement, so that the next one sees what the previous holder of the lock has committed.
_LOCK = "SELECT pg_advisory_xact_lock($1, $2)"
_FOR_TAKE = """
WITH held AS MATERIALIZED (SELECT product_id, quantity, state FROM stock_ledger WHERE order_id = $1),
locked AS (
  SELECT id, stock FROM products
  WHERE id = ANY($2::bigint[]) AND NOT EXISTS (SELECT 1 FROM held)
  ORDER BY id FOR NO KEY UPDATE)
SELECT product_id, quantity, state FROM held UNION ALL SELECT id, stock, NULL FROM locked
"""
_FOR_RETURN = """
WITH held AS MATERIALIZED (SELECT product_id, quantity, state FROM stock_ledger WHERE order_id = $1),
locked AS (
  SELECT id FROM products
  WHERE id IN (SELECT product_id FROM held WHERE state = 'TAKEN')
  ORDER BY id FOR NO KEY UPDATE)
SELECT product_id, quantity, state, (SELECT count(*) FROM locked) FROM held
"""
_PRODUCT_IDS = "SELECT product_id FROM stock_ledger WHERE order_id = $1"
_SAVE = """
WITH moved AS (
  UPDATE products p SET stock = p.stock + change.units, updated_at = now()
  FROM unnest($3::bigint[], $4::bigint[]) AS change (product_id, units)
  WHERE p.id = change.product_id)
INSERT INTO stock_ledger AS l (order_id, product_id, quantity, state, event_id)
SELECT $1, product_id, quantity, state, $2
FROM unnest($5::bigint[], $6::bigint[], $7::text[]) AS entry (product_id, quantity, state)
ON CONFLICT (order_id, product_id) DO UPDATE
SET state = excluded.state, event_id = excluded.event_id, updated_at = now()
WHERE l.state = 'TAKEN'
"""


async def lock_order(tx: Tx, order_id: int) -> None:
    """Serialize the stock events of one order across all connections.

    Two orders may share a lock, which costs no more than a wait.
    """
    await tx.driver().execute(_LOCK, _LOCK_CLASS, order_id & 0x7FFFFFFF)


async def load_for_take(tx: Tx, order_id: int, product_ids: Sequence[int]) -> tuple[list[Entry], dict[int, int]]:
    """Return the order's ledger and, when that is empty, the free stock of the products, locked in id order."""
    ledger: list[Entry] = []
    free: dict[int, int] = {}
    for product_id, number, state in await tx.driver().fetch(_FOR_TAKE, order_id, product_ids):
        if state is None:
            free[product_id] = number
        else:
            ledger.append(Entry(product_id, number, LedgerState(state)))
    return ledger, free


async def load_for_return(tx: Tx, order_id: int) -> list[Entry]:
    """Return the order's ledger, and lock the products that it holds in id order."""
    rows = await tx.driver().fetch(_FOR_RETURN, order_id)
    return [Entry(product_id, quantity, LedgerState(state)) for product_id, quantity, state, _ in rows]


async def product_ids(tx: Tx, order_id: int) -> list[int]:
    """List the products in the order's ledger, whatever their state."""
    return [row[0] for row in await tx.driver().fetch(_PRODUCT_IDS, order_id)]


async def save(tx: Tx, order_id: int, event_id: UUID, decision: Decision) -> None:
    await tx.driver().execute(
        _SAVE,
        order_id,
        event_id,
        list(decision.changes.keys()),
        list(decision.changes.values()),
        [entry.product_id for entry in decision.entries],
        [entry.quantity for entry in decision.entries],
        [str(entry.state) for entry in decision.entries],
    )

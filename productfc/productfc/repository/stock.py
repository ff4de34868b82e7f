"""All SQL on the stock ledger: few statements, because every order runs them. Each works on the claims of one run."""

from collections.abc import Iterable, Sequence
from itertools import chain

from chassis.db.database import Tx
from productfc.model import Books, Claim, Decision, Entry, LedgerState

# The first half of the advisory lock's key: an arbitrary constant that keeps these locks apart from others.
_LOCK_CLASS = 0x53544F43
# A separate statement, so that the next one sees what the previous holder of the lock has committed. The keys are
# sorted, as the products are, so that two runs can't deadlock.
_LOCK = "SELECT pg_advisory_xact_lock($1, key) FROM unnest($2::int[]) AS key"
_FOR_TAKE = """
WITH locked AS (SELECT id, stock FROM products WHERE id = ANY($2::bigint[]) ORDER BY id FOR NO KEY UPDATE)
SELECT order_id, product_id, quantity, state FROM stock_ledger WHERE order_id = ANY($1::bigint[])
UNION ALL SELECT NULL, id, stock, NULL FROM locked
"""
_FOR_RETURN = """
WITH held AS MATERIALIZED (
  SELECT order_id, product_id, quantity, state FROM stock_ledger WHERE order_id = ANY($1::bigint[])),
locked AS (
  SELECT id FROM products
  WHERE id IN (SELECT product_id FROM held WHERE state = 'TAKEN')
  ORDER BY id FOR NO KEY UPDATE)
SELECT order_id, product_id, quantity, state, (SELECT count(*) FROM locked) FROM held
"""
_PRODUCT_IDS = "SELECT product_id FROM stock_ledger WHERE order_id = ANY($1::bigint[])"
# Among the claims of a run, only one can enter a row of an order and product: the ledger answers the others.
_SAVE = """
WITH moved AS (
  UPDATE products p SET stock = p.stock + change.units, updated_at = now()
  FROM unnest($1::bigint[], $2::bigint[]) AS change (product_id, units)
  WHERE p.id = change.product_id)
INSERT INTO stock_ledger AS l (order_id, event_id, product_id, quantity, state)
SELECT * FROM unnest($3::bigint[], $4::uuid[], $5::bigint[], $6::bigint[], $7::text[])
ON CONFLICT (order_id, product_id) DO UPDATE
SET state = excluded.state, event_id = excluded.event_id, updated_at = now()
WHERE l.state = 'TAKEN'
"""


async def lock_orders(tx: Tx, claims: Iterable[Claim]) -> None:
    """Serialize the stock events of each order across all connections.

    Two orders may share a lock, which costs no more than a wait.
    """
    await tx.driver().execute(_LOCK, _LOCK_CLASS, sorted({claim.order_id & 0x7FFFFFFF for claim in claims}))


async def load_for_take(tx: Tx, claims: Iterable[Claim]) -> Books:
    """Read the ledger of the orders and the free stock of the products, which are locked in id order."""
    entries: list[tuple[int, Entry]] = []
    free: dict[int, int] = {}
    products = sorted({line.product_id for claim in claims for line in claim.lines})
    rows = await tx.driver().fetch(_FOR_TAKE, _orders(claims), products)
    for order_id, product_id, number, state in rows:
        if order_id is None:
            free[product_id] = number
        else:
            entries.append((order_id, Entry(product_id, number, LedgerState(state))))
    return Books(entries, free)


async def load_for_return(tx: Tx, claims: Iterable[Claim]) -> Books:
    """Read the ledger of the orders, and lock the products that they hold in id order."""
    rows = await tx.driver().fetch(_FOR_RETURN, _orders(claims))
    return Books((row[0], Entry(row[1], row[2], LedgerState(row[3]))) for row in rows)


async def product_ids(tx: Tx, order_ids: Sequence[int]) -> list[int]:
    """List the products in the ledger of the orders, whatever their state."""
    return [row[0] for row in await tx.driver().fetch(_PRODUCT_IDS, order_ids)] if order_ids else []


async def save(tx: Tx, claims: Sequence[Claim], decisions: Sequence[Decision]) -> None:
    """Save the decision of each claim."""
    rows = [
        (claim.order_id, claim.event_id, entry.product_id, entry.quantity, str(entry.state))
        for claim, decision in zip(claims, decisions, strict=True)
        for entry in decision.entries
    ]
    if not rows:
        return
    moved: dict[int, int] = {}
    for product_id, units in chain.from_iterable(decision.changes.items() for decision in decisions):
        moved[product_id] = moved.get(product_id, 0) + units
    columns = [list(column) for column in zip(*rows, strict=True)]
    await tx.driver().execute(_SAVE, list(moved.keys()), list(moved.values()), *columns)


def _orders(claims: Iterable[Claim]) -> list[int]:
    return list({claim.order_id for claim in claims})

"""Runs look up their orders along an index, also when their statements were planned for empty tables (ADR 24)."""

from collections.abc import Sequence
from uuid import uuid4

from chassis.db.database import Database
from orderfc.config import Settings
from orderfc.model import Cause, Status
from orderfc.repository.orders import quantities
from orderfc.repository.transitions import apply_in

FILLED = 40_000
FILL = """
WITH made AS (
  INSERT INTO orders (id, user_id, total_amount, total_qty, currency, payment_method, shipping_address)
  SELECT $1::bigint + n, 1, 100, 1, 'IDR', 'CARD', 'here' FROM generate_series(1, $2::int) n RETURNING id),
lines AS (INSERT INTO order_items (order_id, product_id, name, quantity, price) SELECT id, 1, 'Kopi', 1, 100 FROM made)
INSERT INTO order_history (order_id, status, cause) SELECT id, 0, 'checkout' FROM made
"""
ROWS_READ = "SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables"
# Of each table, by a run of 100: some rows of each order, and not 40,000.
MOST_READ = 1_000
TABLES = ("orders", "order_items", "order_history", "inbox")


async def fill(db: Database, first: int, count: int) -> None:
    async with db.driver() as connection:
        await connection.execute(FILL, first, count)
        # Or the checks of foreign keys would count as reads of the next transaction.
        await connection.execute("SELECT pg_stat_force_next_flush()")


async def rows_read(db: Database, orders: Sequence[int]) -> int:
    """Cancel orders in one run, and return the most rows that it read of a table."""
    run = [(uuid4(), order) for order in orders]
    async with db.transaction() as tx:
        applied = await apply_in(tx, Settings.service, run, Cause.PAYMENT_FAILED)
        assert applied.statuses == dict.fromkeys(orders, Status.CREATED)
        assert await quantities(tx, orders) == {order: [(1, 1)] for order in orders}
        rows = await tx.driver().fetch(ROWS_READ)
    return max(int(row[1]) for row in rows if row[0] in TABLES)


async def test_a_run_reads_no_more_of_tables_that_were_empty_when_its_statements_were_first_planned(
    unanalysed: Database,
) -> None:
    # PostgreSQL keeps a plan from the sixth time on.
    await fill(unanalysed, 0, 8)
    for order in range(1, 9):
        await rows_read(unanalysed, [order])
    first = 10**9
    await fill(unanalysed, first, FILLED)
    assert await rows_read(unanalysed, range(first + 1, first + 101)) <= MOST_READ

"""Checkouts find a customer's orders along an index, also when their statement was first planned for empty tables."""

from collections.abc import Sequence
from decimal import Decimal

from chassis.db.database import Database
from orderfc.model import Draft, Line
from orderfc.repository import idempotency, placing
from orderfc.repository.idempotency import Lease
from orderfc.repository.placing import NewOrder, Payloads

TABLES = ("orders", "idempotency_keys")
ROWS_READ = "SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables"
# By 40 checkouts: a few rows of each, and not 20,000.
MOST_READ = 400
FILLED = 20_000
FILL = """
WITH keys AS (
  INSERT INTO idempotency_keys (user_id, key, request_hash, lease_token, leased_until)
  SELECT 1000 + n, 'key', decode(repeat('00', 32), 'hex'), gen_random_uuid(), now() FROM generate_series(1, $1::int) n)
INSERT INTO orders (user_id, total_amount, total_qty, currency, payment_method, shipping_address)
SELECT 1000 + n, 100, 1, 'IDR', 'CARD', 'here' FROM generate_series(1, $1::int) n
"""


async def check_out(db: Database, customers: Sequence[int]) -> None:
    leases = [Lease(user_id, "key", b"\1" * 32) for user_id in customers]
    assert all(one.acquired for one in await idempotency.reserve(db, leases, 30))
    lines = (Line(1, "Kopi", 1, Decimal(5)),)
    drafts = [Draft(lease.user_id, lines, "IDR", "CARD", "here") for lease in leases]
    orders = [NewOrder(draft, Payloads("{}", "{}", {}), lease) for draft, lease in zip(drafts, leases, strict=True)]
    assert all(placed.order_id for placed in await placing.place(db, orders, 100))


async def rows_read(db: Database) -> int:
    """Return the rows of both tables that were read so far."""
    async with db.driver() as connection:
        # The session's own counts are handed over at the end of a transaction, at most once a second.
        await connection.execute("SELECT pg_stat_force_next_flush()")
        rows = await connection.fetch(ROWS_READ)
    return sum(int(row[1]) for row in rows if row[0] in TABLES)


async def test_a_checkout_reads_no_more_of_tables_that_were_empty_when_its_statements_were_first_planned(
    unanalysed: Database,
) -> None:
    # PostgreSQL keeps a plan from the sixth time on.
    for first in range(1, 321, 40):
        await check_out(unanalysed, range(first, first + 40))
    async with unanalysed.driver() as connection:
        await connection.execute(FILL, FILLED)
    before = await rows_read(unanalysed)
    await check_out(unanalysed, range(400, 440))
    assert await rows_read(unanalysed) - before <= MOST_READ

"""Runs look up the ledger along its index, also when their statements were planned for a small table (ADR 24)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any
from uuid import uuid4

import pytest

from chassis.db.database import Database, Tx
from chassis.db.inbox import first_times
from productfc.config import Settings
from productfc.model import Claim, Decision, Line
from productfc.service.stock import give_back, take

from .conftest import new_order

FILLED = 40_000
FILL = """
INSERT INTO stock_ledger (order_id, event_id, product_id, quantity, state)
SELECT $1::bigint + n / 2, gen_random_uuid(), 1 + n % 2, 1, 'TAKEN' FROM generate_series(1, $2::int) n
"""
ROWS_READ = "SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables"
# Of each table, by a run of 100: some rows of each order, and not all.
MOST_READ = 1_000
Rule = Callable[[Tx, list[Claim]], Awaitable[list[Decision]]]


@pytest.fixture
async def db(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> AsyncIterator[Database]:
    """Give a database whose tables are empty, and only the test analyses them."""
    db = Database(Settings(**await make_database("productfc")))
    async with db.driver() as connection:
        for table in ("stock_ledger", "inbox"):
            await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    yield db
    await db.close()


async def rows_read(db: Database, rule: Rule, orders: Iterable[int]) -> dict[str, int]:
    """Apply claims of orders in one run, and return the rows that it read, by table."""
    claims = [Claim(order, [Line(1, 1), Line(2, 1)], uuid4()) for order in orders]
    async with db.transaction() as tx:
        new, _ = await first_times(tx, Settings.service, [(claim.event_id, claim) for claim in claims])
        await rule(tx, new)
        rows = await tx.driver().fetch(ROWS_READ)
    return {row[0]: row[1] for row in rows}


@pytest.mark.parametrize("rule", [take, give_back])
async def test_a_run_reads_no_more_of_a_table_that_had_two_rows_when_its_statements_were_planned(
    db: Database, rule: Rule
) -> None:
    await rows_read(db, rule, [new_order()])
    async with db.driver() as connection:
        await connection.execute("ANALYZE stock_ledger, inbox")
    # PostgreSQL keeps a plan from the sixth time on.
    for _ in range(8):
        await rows_read(db, rule, [new_order()])
    first = 10**9
    async with db.driver() as connection:
        await connection.execute(FILL, first, FILLED)
        await connection.execute("SELECT pg_stat_force_next_flush()")
    known = await rows_read(db, rule, range(first + 1, first + 101))
    new = await rows_read(db, rule, [new_order() for _ in range(100)])
    for scanned in (known, new):
        assert max(scanned["stock_ledger"], scanned["inbox"]) <= MOST_READ

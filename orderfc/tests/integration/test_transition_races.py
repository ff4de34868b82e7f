"""The statement of an event when its order changes between the beginning of the statement and its turn.

It reads as of its beginning; it must decide on what was committed while it waited.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from uuid import uuid4

import pytest

from chassis.db.database import Database
from orderfc.config import Settings
from orderfc.model import Cause
from orderfc.repository import transitions
from testkit import eventually

from .conftest import deliver_together, message
from .test_runs import PAID, PAYMENT_FAILED, STOCK_REJECTED, UNKNOWN, event, placed, rows, statuses

WAITS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
HISTORY = "SELECT status, cause FROM order_history WHERE order_id = $1 ORDER BY id"
# The cause that is committed first, the topic that waits for it, and where the order ends.
RACES = [
    (Cause.PAYMENT_FAILED, PAID, 4),
    (Cause.STOCK_REJECTED, PAID, 4),
    (Cause.PAID, PAYMENT_FAILED, 4),
    (Cause.PAID, STOCK_REJECTED, 4),
    (Cause.PAYMENT_FAILED, STOCK_REJECTED, 3),
    (Cause.PAID, PAID, 2),
]


@pytest.fixture(scope="module")
async def db(settings: Settings) -> AsyncIterator[Database]:
    """One pool for all tests of this module."""
    db = Database(settings)
    yield db
    await db.close()


async def waits(db: Database) -> bool:
    return bool(await rows(db, WAITS))


@pytest.mark.parametrize(("first", "topic", "end"), RACES)
@pytest.mark.parametrize("size", [1, 3])
async def test_an_order_that_changes_while_an_event_waits_for_it_ends_as_if_they_had_come_in_turn(
    db: Database, first: Cause, topic: str, end: int, size: int
) -> None:
    known = [await placed(db) for _ in range(size)]
    contested = known[-1]
    async with db.transaction() as tx:
        await transitions.apply_in(tx, Settings.service, [(uuid4(), contested)], first)
        task = asyncio.ensure_future(deliver_together(db, [event(topic, order) for order in known]))
        await eventually(partial(waits, db))
    await task
    assert (await statuses(db, known))[-1] == end
    steps = [(row[0], row[1]) for row in await rows(db, HISTORY, contested)]
    assert steps[-1][0] == end
    assert len(steps) == (3 if end == 4 else 2)


async def test_a_run_enters_the_inbox_in_the_order_of_the_ids_so_that_runs_do_not_wait_in_a_circle(
    db: Database,
) -> None:
    run = sorted([event(PAID, await placed(db)) for _ in range(3)], key=lambda each: each.identity)
    enter = "INSERT INTO inbox (consumer, event_id) VALUES ($1, $2)"
    async with db.transaction() as tx:
        await tx.driver().execute(enter, Settings.service, run[1].identity)
        task = asyncio.ensure_future(deliver_together(db, run[::-1]))
        await eventually(partial(waits, db))
        async with db.driver() as other:
            undone = other.transaction()
            await undone.start()
            await other.execute("SET LOCAL lock_timeout = '2s'")
            await other.execute(enter, Settings.service, run[2].identity)
            await undone.rollback()
    await task


async def test_an_event_that_another_has_applied_by_its_turn_is_a_repeated_one(db: Database) -> None:
    order = await placed(db)
    told = event(PAYMENT_FAILED, order)
    waiting = [asyncio.ensure_future(deliver_together(db, [told])) for _ in range(6)]
    await asyncio.gather(*waiting)
    assert len(await rows(db, HISTORY, order)) == 2
    published = await rows(db, "SELECT 1 FROM outbox WHERE topic = 'stock.rollback' AND key = $1", f"order-{order}")
    assert len(published) == 1


async def test_an_applied_event_stays_applied_whatever_order_it_names_when_it_comes_again(db: Database) -> None:
    order = await placed(db)
    again = str(uuid4())
    await deliver_together(db, [event(PAID, order, again)])
    other = await placed(db)
    for named in (UNKNOWN, other):
        value = json.dumps({"order_id": named, "status": "PAID"}).encode()
        await deliver_together(db, [message(PAID, value, again)])
    assert await statuses(db, [order, other]) == [2, 0]


async def test_one_event_that_names_two_orders_in_a_run_changes_the_first(db: Database) -> None:
    known = [await placed(db) for _ in range(2)]
    again = str(uuid4())
    await deliver_together(db, [event(PAID, order, again) for order in reversed(known)])
    assert await statuses(db, known) == [0, 2]

"""The gauges of the outbox. Every process with workers sets them, whether or not its relay is the active one."""

import asyncio

import asyncpg
from prometheus_client import Gauge

from chassis.db import outbox
from chassis.db.database import Database
from chassis.loops import Loop, wait_any

PENDING = Gauge(
    "gocommerce_outbox_pending", "Events committed and not yet acknowledged, counted up to 100,000 in each state"
)
PARKED = Gauge("gocommerce_outbox_parked", "Events parked after the configured tries, tried again every five minutes")
OLDEST = Gauge("gocommerce_outbox_oldest_age_seconds", "Age of the oldest event that is pending, 0 without one")

REPORT_S = 5.0


async def look(db: Database, connection: asyncpg.Connection) -> float | None:
    """Count the unpublished events. Returns the seconds until the next one is due, None when there is none."""
    counts = await outbox.counts(connection)
    PENDING.set(counts.pending)
    PARKED.set(counts.parked)
    OLDEST.set(counts.oldest_age_s)
    db.outbox_counted_at = asyncio.get_running_loop().time()
    return counts.due_in_s


async def report(db: Database) -> None:
    """Count the unpublished events. While the database is away the last values stay."""
    async with db.driver() as connection:
        await look(db, connection)


class Reports:
    """The loop that sets the gauges where no relay at rest does."""

    name = "outbox_backlog"

    def __init__(self, db: Database) -> None:
        self._db = db

    async def run(self, stop: asyncio.Event) -> None:
        await Loop(self.name, 0, lambda: self._report_when_old(stop)).run(stop)

    async def _report_when_old(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        while (left := self._db.outbox_counted_at + REPORT_S - loop.time()) > 0 and not stop.is_set():
            await wait_any(left, stop)
        if not stop.is_set():
            await report(self._db)


def loop(db: Database) -> Reports:
    """Count when the last count is 5 s old. A relay at rest counts more often, with the look that it takes anyway.

    Other relays do not: they are busy, or wait for the broker, or for another relay's lock.
    """
    return Reports(db)

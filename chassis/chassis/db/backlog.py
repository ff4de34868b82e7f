"""The gauges of the outbox. Every process with workers sets them, whether or not its relay is the active one."""

from functools import partial

from prometheus_client import Gauge

from chassis.db import outbox
from chassis.db.database import Database
from chassis.loops import Loop

PENDING = Gauge("outbox_pending", "Events committed and not yet acknowledged, counted up to 100,000 in each state")
PARKED = Gauge("outbox_parked", "Events parked after the configured tries, tried again every five minutes")

REPORT_S = 5.0


async def report(db: Database) -> None:
    """Count the unpublished events. While the database is away the last values stay."""
    async with db.driver() as connection:
        counts = await outbox.counts(connection)
    PENDING.set(counts.pending)
    PARKED.set(counts.parked)


def loop(db: Database) -> Loop:
    """Count every 5 s. The relay does not: it may wait for the broker, or for another relay's lock."""
    return Loop("outbox_backlog", REPORT_S, partial(report, db))

"""Removes old rows of the outbox and the inbox: published events, and messages older than any topic's retention."""

from functools import partial

from chassis.db import inbox, outbox
from chassis.db.database import Database
from chassis.loops import Loop

INTERVAL_S = 600
BATCH = 5_000
# Twice Kafka's default retention of seven days: a replayed message still meets its inbox row.
INBOX_DAYS = 14
OUTBOX_DAYS = 7


async def purge(db: Database) -> bool:
    """Delete up to one batch of each table. True when there may be more."""
    async with db.driver() as connection:
        events = await outbox.purge(connection, OUTBOX_DAYS, BATCH)
        messages = await inbox.purge(connection, INBOX_DAYS, BATCH)
    return events + messages > 0


def loop(db: Database) -> Loop:
    """Purge every ten minutes."""
    return Loop("housekeeping", INTERVAL_S, partial(purge, db))

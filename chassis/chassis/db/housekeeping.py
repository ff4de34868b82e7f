"""Removes what the saga no longer needs: published outbox rows and inbox rows older than any topic's retention."""

from functools import partial

from chassis.db.database import Database
from chassis.loops import Loop

INTERVAL_S = 600
BATCH = 5_000
# Twice Kafka's default retention of seven days: a replayed message still meets its inbox row.
INBOX_DAYS = 14
OUTBOX_DAYS = 7

# Only the oldest rows are looked at, along the primary key: a search by time would need an index that every publish
# has to maintain, or scan a table of millions for nothing.
_OUTBOX = """
DELETE FROM outbox WHERE id IN (
  SELECT id FROM (SELECT id, published_at FROM outbox ORDER BY id LIMIT $2) AS oldest
  WHERE published_at < now() - $1 * interval '1 day')
"""
_INBOX = """
DELETE FROM inbox WHERE (consumer, event_id) IN (
  SELECT consumer, event_id FROM inbox WHERE received_at < now() - $1 * interval '1 day' LIMIT $2)
"""


async def purge(db: Database) -> bool:
    """Delete up to one batch of each; True when there may be more."""
    async with db.driver() as connection:
        outbox = await connection.execute(_OUTBOX, OUTBOX_DAYS, BATCH)
        inbox = await connection.execute(_INBOX, INBOX_DAYS, BATCH)
    return any(int(status.split()[-1]) for status in (outbox, inbox))


def loop(db: Database) -> Loop:
    """Purge every ten minutes."""
    return Loop("housekeeping", INTERVAL_S, partial(purge, db))

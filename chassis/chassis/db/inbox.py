"""The inbox: one row per consumer and event, written first in the transaction that carries the effect.

The column `event_id` has the event's identity (`chassis.events.identity`). Rows of versions that kept `ce_id` itself
are not found: an event that comes again across that upgrade meets the business guards, as after a purge.
"""

import asyncpg
from sqlalchemy import Column, DateTime, Index, MetaData, Table, Text, func
from sqlalchemy.dialects.postgresql import UUID

from chassis.db.database import Tx
from chassis.events import Message

_FIRST = "INSERT INTO inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true"
_PURGE = """
DELETE FROM inbox WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM inbox WHERE received_at < now() - $1 * interval '1 day' ORDER BY received_at LIMIT $2))
"""


def inbox_table(metadata: MetaData) -> Table:
    """Declare the inbox of a service. Its rows are purged after the topics' retention; business guards need none."""
    return Table(
        "inbox",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("event_id", UUID(as_uuid=True), primary_key=True),
        Column("received_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Index("ix_inbox_received_at", "received_at"),
    )


async def first_time(tx: Tx, consumer: str, message: Message) -> bool:
    """Record the message. False when this consumer has applied it before: it is a duplicate.

    A second delivery at the same instant waits here until the first one's transaction ends.
    """
    return bool(await tx.driver().fetchval(_FIRST, consumer, message.identity))


async def purge(driver: asyncpg.Connection, limit: int, *, days: int) -> int:
    """Delete up to `limit` rows of messages received more than `days` ago. Return how many."""
    status = await driver.execute(_PURGE, days, limit)
    return int(status.split()[-1])

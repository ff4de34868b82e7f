"""The effect of published events on the tables of paymentfc, in the transaction that marks them as published."""

from collections.abc import Sequence

import asyncpg

from chassis.db.outbox_queue import OutboxRow
from paymentfc.repository import audit, failed_events


async def note_published(connection: asyncpg.Connection, rows: Sequence[OutboxRow]) -> None:
    """Relay hook: add the events to the audit log, and set when those that had failed before were sent."""
    await audit.add_published(connection, rows)
    await failed_events.note_published(connection, rows)

"""The inbox: one row per consumer and event, written first in the transaction that carries the effect."""

from sqlalchemy import Column, DateTime, Index, MetaData, Table, Text, func
from sqlalchemy.dialects.postgresql import UUID

from chassis.db.database import Tx
from chassis.events import Message

_FIRST = "INSERT INTO inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true"


def inbox_table(metadata: MetaData) -> Table:
    """Declare the inbox of a service; rows are purged after the topics' retention, business guards hold for ever."""
    return Table(
        "inbox",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("event_id", UUID(as_uuid=True), primary_key=True),
        Column("received_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Index("ix_inbox_received_at", "received_at"),
    )


async def first_time(tx: Tx, consumer: str, message: Message) -> bool:
    """Record the message, and tell whether it is new to this consumer.

    A second delivery at the same instant waits here for the first one's commit; False means that it is a duplicate.
    """
    return bool(await tx.driver().fetchval(_FIRST, consumer, message.event_id))

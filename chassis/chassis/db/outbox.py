"""The transactional outbox: the table, and the one statement that appends to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Integer, MetaData, Table, Text, func, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

from chassis.events import Event

# Kafka's default limit for one record is 1 MiB with its headers; a larger row could never be sent.
MAX_PAYLOAD_BYTES = 1_000_000

_APPEND = """
INSERT INTO outbox (event_id, topic, key, payload, headers)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::jsonb[])
"""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One committed event; `attempts` counts failed sends so far, `error` is the last one's text."""

    id: int
    event_id: UUID
    topic: str
    key: str
    payload: str
    headers: dict[str, str]
    created_at: datetime
    attempts: int
    error: str | None = None


def outbox_table(metadata: MetaData) -> Table:
    """Declare the outbox of a service.

    Debezium's outbox router reads the same columns (event_id, topic, key, payload, headers) when the relay is outgrown.
    """
    return Table(
        "outbox",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("event_id", postgresql.UUID(as_uuid=True), nullable=False, unique=True),
        Column("topic", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("payload", JSONB, nullable=False),
        Column("headers", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("next_attempt_at", DateTime(timezone=True)),
        Column("last_error", Text),
        Column("published_at", DateTime(timezone=True)),
        Column("parked_at", DateTime(timezone=True)),
        Index("ix_outbox_pending", "id", postgresql_where=text("published_at IS NULL")),
        Index("ix_outbox_pending_key", "topic", "key", "id", postgresql_where=text("published_at IS NULL")),
    )


async def append(driver: asyncpg.Connection, events: Sequence[Event]) -> None:
    """Insert events in the connection's open transaction. Raises ValueError for a payload over 1,000,000 bytes."""
    for event in events:
        if len(event.payload.encode()) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"event for {event.topic} has more than {MAX_PAYLOAD_BYTES} bytes")
    await driver.execute(
        _APPEND,
        [event.event_id for event in events],
        [event.topic for event in events],
        [event.key for event in events],
        [event.payload for event in events],
        [orjson.dumps(event.headers).decode() for event in events],
    )

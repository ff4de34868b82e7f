"""The transactional outbox: the table, and every statement on it."""

from collections.abc import Collection, Sequence
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

# Each service appends with this statement, except orderfc's checkout: its INSERT is a part of the one statement that
# places an order (orderfc/repository/orders.py). A new column without a default has to be added in both places.
_APPEND = """
INSERT INTO outbox (event_id, topic, key, payload, headers)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::jsonb[])
"""

# "outbox" in ASCII: any constant will do, because the lock belongs to the service's own database.
_LOCK_ID = 0x6F7574626F78
_TRY_LOCK = "SELECT pg_try_advisory_lock($1)"

# A key waits while one of its events is backing off, so that its order holds. NOT IN reads those keys once, into a
# hash. As a join, the planner would choose by statistics which say, after a calm hour, that almost no row waits, and
# would read all waiting rows for each row of a sudden backlog. The same happens when the hash exceeds work_mem.
_WORK_MEM = "SET work_mem = '64MB'"
_SELECT_DUE = """
SELECT id, event_id, topic, key, payload::text AS payload, headers::text AS headers, created_at, attempts
FROM outbox
WHERE published_at IS NULL AND (next_attempt_at IS NULL OR next_attempt_at <= now())
  AND (topic, key) NOT IN (
    SELECT topic, key FROM outbox WHERE published_at IS NULL AND parked_at IS NULL AND next_attempt_at > now())
"""
_DUE = f"{_SELECT_DUE} ORDER BY id LIMIT $1"
_DUE_BESIDE_IN_FLIGHT = f"""{_SELECT_DUE}
  AND topic <> ALL($2::text[])
  AND (topic, key) NOT IN (SELECT * FROM unnest($3::text[], $4::text[]))
ORDER BY id LIMIT $1
"""
_MARK_PUBLISHED = (
    "UPDATE outbox SET published_at = now(), last_error = NULL WHERE id = ANY($1::bigint[]) AND published_at IS NULL"
)
_RECORD_FAILURE = """
UPDATE outbox SET attempts = attempts + 1, last_error = left($2, 500),
  parked_at = CASE WHEN attempts + 1 >= $3 THEN coalesce(parked_at, now()) END,
  next_attempt_at = now() + CASE WHEN attempts + 1 >= $3 THEN $5::float8 ELSE $4::float8 END * interval '1 second'
WHERE id = $1 AND published_at IS NULL
RETURNING parked_at IS NOT NULL AS parked, parked_at = now() AS newly_parked
"""
_RETRY_NOW = """
UPDATE outbox SET next_attempt_at = now()
WHERE published_at IS NULL AND next_attempt_at > now() AND topic <> ALL($1::text[])
"""
_RETRY_EVENT = "UPDATE outbox SET next_attempt_at = now() WHERE event_id = $1 AND published_at IS NULL RETURNING true"
_COUNTS = """
SELECT count(*) FILTER (WHERE parked_at IS NULL) AS pending, count(*) FILTER (WHERE parked_at IS NOT NULL) AS parked
FROM outbox WHERE published_at IS NULL
"""
# Only the oldest published rows are looked at, along the primary key: a search by time would need an index that every
# publish has to maintain, or scan a table of millions for nothing. Unpublished rows before them are skipped.
_PURGE = """
DELETE FROM outbox WHERE id IN (
  SELECT id FROM (SELECT id, published_at FROM outbox WHERE published_at IS NOT NULL ORDER BY id LIMIT $2) AS oldest
  WHERE published_at < now() - $1 * interval '1 day')
"""


# A connection that the relay keeps for itself. It passes it to these functions and runs no statement of its own.
Session = asyncpg.Connection


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


@dataclass(frozen=True, slots=True)
class Parking:
    """Whether an event is parked after a failure, and whether this failure parked it."""

    parked: bool
    newly: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """Unpublished events: `pending` are backing off or due, `parked` have used up their tries."""

    pending: int
    parked: int


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


async def try_lock(session: Session) -> bool:
    """Take the lock of the one active relay; it is held until the session ends. False while another session has it."""
    return bool(await session.fetchval(_TRY_LOCK, _LOCK_ID))


async def set_work_mem(session: Session) -> None:
    """Set the memory that `due` needs for its hash of waiting keys."""
    await session.execute(_WORK_MEM)


async def due(session: Session, limit: int) -> list[OutboxRow]:
    """Read the events to send now, in id order. Keys wait while an event of theirs is backing off and not parked."""
    return [_row(record) for record in await session.fetch(_DUE, limit)]


async def due_beside_in_flight(
    session: Session, limit: int, keys: Collection[tuple[str, str]], full_topics: Collection[str]
) -> list[OutboxRow]:
    """Read as `due`, without these keys, a (topic, key) each, and without topics that have enough sends in flight."""
    topics = [topic for topic, _ in keys]
    names = [key for _, key in keys]
    return [
        _row(record) for record in await session.fetch(_DUE_BESIDE_IN_FLIGHT, limit, list(full_topics), topics, names)
    ]


async def mark_published(session: Session, ids: Sequence[int]) -> None:
    await session.execute(_MARK_PUBLISHED, ids)


async def record_failure(
    session: Session, row: OutboxRow, *, max_tries: int, wait_s: float, parked_wait_s: float
) -> Parking:
    """Count a failed send, with `row.error` as its text, and set the time of the next try.

    The event is parked from its `max_tries`-th failure on, and then waits `parked_wait_s` instead of `wait_s`.
    """
    record = await session.fetchrow(_RECORD_FAILURE, row.id, row.error, max_tries, wait_s, parked_wait_s)
    return Parking(record["parked"], bool(record["newly_parked"])) if record else Parking(False, False)


async def retry_now(session: Session, except_topics: Collection[str]) -> None:
    """End the backoff of all events, parked ones included, except those of some topics."""
    await session.execute(_RETRY_NOW, list(except_topics))


async def retry_event(session: Session, event_id: UUID) -> bool:
    """End the backoff of one event. False when it is published, or unknown."""
    return bool(await session.fetchval(_RETRY_EVENT, event_id))


async def counts(session: Session) -> Counts | None:
    """Count the unpublished events. None when that takes longer than the statement timeout."""
    try:
        [record] = await session.fetch(_COUNTS)
    except asyncpg.QueryCanceledError:
        return None
    return Counts(record["pending"], record["parked"])


async def purge(session: Session, days: int, limit: int) -> int:
    """Delete up to `limit` of the oldest rows that were published more than `days` ago. Return how many."""
    status = await session.execute(_PURGE, days, limit)
    return int(status.split()[-1])


def _row(record: asyncpg.Record) -> OutboxRow:
    return OutboxRow(**{**record, "headers": orjson.loads(record["headers"])})

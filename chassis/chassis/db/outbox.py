"""The transactional outbox: the statements that append to it, count it and purge it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import orjson

from chassis.events import Event

# The largest sum of value, key and stored headers. Kafka's default limit for a batch of one record is 1,048,588 bytes;
# the rest is for the headers that `wire_headers` adds, and for the record's framing.
MAX_RECORD_BYTES = 1_000_000

# Each service appends with this statement, except where an INSERT is a part of the one statement that does the work:
# orderfc's checkout (orderfc/repository/placing.py) and paymentfc's confirmation of a payment
# (paymentfc/repository/confirmations.py). A new column without a default has to be added in all three places.
# The size is that of the stored value: jsonb adds blanks and writes 1e99 out in full.
_APPEND = """
WITH appended AS (
  INSERT INTO outbox (event_id, topic, key, payload, headers)
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::jsonb[])
  RETURNING topic, octet_length(payload::text) + octet_length(key) + octet_length(headers::text) AS bytes)
SELECT topic FROM appended WHERE bytes > $6 LIMIT 1
"""

_RETRY_EVENT = "UPDATE outbox SET next_attempt_at = now() WHERE event_id = $1 AND published_at IS NULL RETURNING true"
# Each number is counted along the one index that holds exactly these rows, and no further than the limit. Where a count
# ends there, rows behind it may be due.
_COUNTS = """
SELECT fresh.n + waiting.n AS pending, parked.n AS parked,
  CASE WHEN fresh.n > 0 OR greatest(waiting.n, parked.n) = $1 THEN 0
    ELSE extract(epoch FROM least(waiting.next, parked.next) - now())::float8 END AS due_in_s,
  (SELECT extract(epoch FROM now() - created_at)::float8 FROM outbox
    WHERE id = least(fresh.first, waiting.first)) AS oldest_age_s
FROM
  (SELECT count(*) AS n, min(id) AS first FROM (
    SELECT id FROM outbox WHERE published_at IS NULL AND next_attempt_at IS NULL
    ORDER BY topic, id LIMIT $1) AS f) AS fresh,
  (SELECT count(*) AS n, min(next_attempt_at) AS next, min(id) AS first FROM (
    SELECT id, next_attempt_at FROM outbox
    WHERE published_at IS NULL AND parked_at IS NULL AND next_attempt_at IS NOT NULL
    ORDER BY topic, next_attempt_at, id LIMIT $1) AS w) AS waiting,
  (SELECT count(*) AS n, min(next_attempt_at) AS next FROM (
    SELECT next_attempt_at FROM outbox WHERE published_at IS NULL AND parked_at IS NOT NULL
    ORDER BY topic, next_attempt_at, id LIMIT $1) AS p) AS parked
"""
_PURGE = """
DELETE FROM outbox WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM outbox WHERE published_at < now() - $1 * interval '1 day' ORDER BY published_at LIMIT $2))
"""

COUNT_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class Counts:
    """Unpublished events: `pending` are backing off or due, `parked` have used up their tries.

    `due_in_s`: seconds until the next one may be sent, 0 or less when one may be now, None when there is none.
    `oldest_age_s`: the age of the oldest that is pending, 0 without one.
    """

    pending: int
    parked: int
    due_in_s: float | None
    oldest_age_s: float


async def append(driver: asyncpg.Connection, events: Sequence[Event]) -> None:
    """Insert events in the connection's open transaction.

    Raises ValueError for an event that would be more than 1,000,000 bytes on the wire, headers included.
    """
    too_large = await driver.fetchval(
        _APPEND,
        [event.event_id for event in events],
        [event.topic for event in events],
        [event.key for event in events],
        [event.payload for event in events],
        [orjson.dumps(event.headers).decode() for event in events],
        MAX_RECORD_BYTES,
    )
    if too_large is not None:
        raise ValueError(f"event for {too_large} has more than {MAX_RECORD_BYTES} bytes")


async def retry_event(driver: asyncpg.Connection, event_id: UUID) -> bool:
    """End the backoff of one event. Returns False if it is published, or unknown."""
    return bool(await driver.fetchval(_RETRY_EVENT, event_id))


async def counts(driver: asyncpg.Connection) -> Counts:
    """Count the unpublished events; a number of 100,000 or more says that there are at least 100,000."""
    [record] = await driver.fetch(_COUNTS, COUNT_LIMIT)
    return Counts(record["pending"], record["parked"], record["due_in_s"], record["oldest_age_s"] or 0.0)


async def purge(driver: asyncpg.Connection, limit: int, *, days: int) -> int:
    """Delete up to `limit` rows that were published more than `days` ago. Return how many."""
    status = await driver.execute(_PURGE, days, limit)
    return int(status.split()[-1])

"""The outbox as the relay's queue: the lock of the active relay, what is due, and the result of each send.

An unpublished row is fresh (no `next_attempt_at`), waiting (it or an earlier event of its key has failed) or parked.
Each of the three has an index of its own, so that the cost of a poll does not depend on how many rows wait.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson

# "outbox" in ASCII: any constant will do, because the lock belongs to the service's own database.
_LOCK_ID = 0x6F7574626F78
_TRY_LOCK = "SELECT pg_try_advisory_lock($1)"
# Statistics of a calm hour say that no row waits; in a sudden backlog they are wrong by any factor. The planner would
# then read all waiting rows and sort them. Without sorts it reads the few that it needs, in the order of an index. So
# one plan does for all reads, and to make one for each took four times as long as the read.
_SETTINGS = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_sort = off"

_COLUMNS = "id, event_id, topic, key, payload, headers, created_at, attempts"
_UNSENT = f"SELECT {_COLUMNS} FROM outbox WHERE published_at IS NULL AND {{free}}"
# `topics` reads each topic with unsent rows once, by steps along an index. `due` takes the first rows of each topic
# from each of the three indexes; with BETWEEN, the primary key can't give the order that the first asks for, and is not
# read from its beginning. A row is left out when those before it have $5 bytes, as they are stored. A row is blocked
# while an earlier event of its key waits and is not in `due` itself; parked events do not block.
_DUE = f"""
WITH RECURSIVE topics AS (
  (SELECT topic FROM outbox WHERE published_at IS NULL ORDER BY topic LIMIT 1)
  UNION ALL
  SELECT (SELECT topic FROM outbox WHERE published_at IS NULL AND topic > t.topic ORDER BY topic LIMIT 1)
  FROM topics t WHERE t.topic IS NOT NULL),
due AS MATERIALIZED (
  SELECT d.* FROM topics t, LATERAL (
    ({_UNSENT} AND topic BETWEEN t.topic AND t.topic AND next_attempt_at IS NULL ORDER BY topic, id LIMIT $1)
    UNION ALL
    ({_UNSENT} AND topic = t.topic AND parked_at IS NULL AND next_attempt_at <= now()
     ORDER BY next_attempt_at, id LIMIT $1)
    UNION ALL
    ({_UNSENT} AND topic = t.topic AND parked_at IS NOT NULL AND next_attempt_at <= now()
     ORDER BY next_attempt_at, id LIMIT $1)) AS d
  WHERE t.topic <> ALL($2::text[]) ORDER BY d.id LIMIT $1),
measured AS (
  SELECT *, sum(pg_column_size(payload)) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) AS bytes FROM due)
SELECT id, event_id, topic, key, payload::text AS payload, headers::text AS headers, created_at, attempts, (
  SELECT w.next_attempt_at FROM outbox w
  WHERE w.published_at IS NULL AND w.parked_at IS NULL AND w.next_attempt_at IS NOT NULL
    AND w.topic = m.topic AND w.key = m.key AND w.id < m.id AND w.id NOT IN (SELECT id FROM due)
  ORDER BY w.id LIMIT 1) AS blocked_until, bytes
FROM measured m WHERE bytes - pg_column_size(payload) < $5 ORDER BY id
""".format(free="(topic, key) NOT IN (SELECT * FROM unnest($3::text[], $4::text[]))")
_DEFER = """
UPDATE outbox SET next_attempt_at = blocked.until FROM unnest($1::bigint[], $2::timestamptz[]) AS blocked (id, until)
WHERE outbox.id = blocked.id AND published_at IS NULL
"""
# By the primary key. For `published_at IS NULL` the planner would read all unsent rows by an index of theirs, when its
# statistics are of a calm hour.
_MARK_PUBLISHED = """
UPDATE outbox SET published_at = now(), last_error = NULL
WHERE id = ANY($1::bigint[]) AND (published_at IS NULL) IS NOT FALSE
"""
_RECORD_FAILURE = """
UPDATE outbox SET attempts = attempts + 1, last_error = left($2, 500),
  parked_at = CASE WHEN attempts + 1 >= $3 THEN coalesce(parked_at, now()) END,
  next_attempt_at = now() + CASE WHEN attempts + 1 >= $3 THEN $5::float8 ELSE $4::float8 END * interval '1 second'
WHERE id = $1 AND published_at IS NULL
RETURNING parked_at IS NOT NULL AS parked, parked_at = now() AS newly_parked
"""
_RETRY_NOW = """
WITH chosen AS MATERIALIZED (
  SELECT topic, key, id FROM outbox
  WHERE published_at IS NULL AND (topic, key, id) > ($1::text, $2::text, $3::bigint)
    AND next_attempt_at > now() AND topic <> ALL($4::text[])
  ORDER BY topic, key, id LIMIT $5),
freed AS (
  UPDATE outbox SET next_attempt_at = now() FROM chosen WHERE outbox.id = chosen.id AND published_at IS NULL)
SELECT topic, key, id FROM chosen ORDER BY topic DESC, key DESC, id DESC LIMIT 1
"""

# A connection that the relay keeps for itself. It passes it to these functions and runs no statement of its own.
Session = asyncpg.Connection

Place = tuple[str, str, int]
"""The topic, key and id of a row."""
FIRST_PLACE: Place = ("", "", 0)
RETRY_BATCH = 2_000

# Of the payloads that one read returns, as they are stored. Compressed ones may be up to 90 times as long.
MAX_READ_BYTES = 4 * 1024 * 1024


class OutboxRow(NamedTuple):
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
class Due:
    """The rows to send now, in id order. `more`: a limit was reached, so other rows may be due too."""

    rows: list[OutboxRow]
    more: bool


async def try_lock(session: Session) -> bool:
    """Take the lock of the active relay, until the session ends. Returns False while another session has it."""
    return bool(await session.fetchval(_TRY_LOCK, _LOCK_ID))


async def prepare(session: Session) -> None:
    """Set how the statements of this session are planned."""
    await session.execute(_SETTINGS)


async def due(
    session: Session, limit: int, keys: Collection[tuple[str, str]] = (), full_topics: Collection[str] = ()
) -> Due:
    """Read the events to send now, without these keys, a (topic, key) each, and without these topics.

    They are at most `limit`, and but for the last one less than MAX_READ_BYTES.

    A key waits while an event of it is backing off and not parked. The later events that were read meanwhile are given
    the time of that event, so that the next poll does not read them again.
    """
    topics, names = [topic for topic, _ in keys], [key for _, key in keys]
    records = await session.fetch(_DUE, limit, list(full_topics), topics, names, MAX_READ_BYTES)
    rows: list[OutboxRow] = []
    blocked: list[tuple[int, datetime]] = []
    for number, event_id, topic, key, payload, headers, created_at, attempts, until, _ in records:
        if until is None:
            parsed: dict[str, Any] = orjson.loads(headers) if headers != "{}" else {}
            rows.append(OutboxRow(number, event_id, topic, key, payload, parsed, created_at, attempts))
        else:
            blocked.append((number, until))
    if blocked:
        await session.execute(_DEFER, *map(list, zip(*blocked, strict=True)))
    return Due(rows, more=len(records) == limit or bool(records and records[-1]["bytes"] >= MAX_READ_BYTES))


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


async def retry_now(session: Session, after: Place, except_topics: Collection[str]) -> Place | None:
    """End the backoff of a batch of events behind `after`, parked ones included, except those of some topics.

    Returns the place of the last one, None when there was none.
    """
    last = await session.fetchrow(_RETRY_NOW, *after, list(except_topics), RETRY_BATCH)
    return None if last is None else (last["topic"], last["key"], last["id"])

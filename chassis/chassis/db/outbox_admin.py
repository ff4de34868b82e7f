"""The outbox as an administrator sees it: what has not left, page by page, and one event made due.

A list follows the index `ix_outbox_pending_key`, so its order is that of topic, key and id. A page reads at most SCAN
rows, whatever its filter leaves of them: with a backlog of millions a page may be short, and still have a next one.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import asyncpg

from chassis.db.database import Database, Tx
from chassis.db.outbox_queue import FIRST_PLACE, Place
from chassis.errors import Invalid

Row = asyncpg.Record

SCAN = 10_000

_SHOWN = """
id, event_id, topic, key, created_at, attempts, next_attempt_at, parked_at, published_at, last_error,
CASE WHEN published_at IS NOT NULL THEN 'published' WHEN parked_at IS NOT NULL THEN 'parked' ELSE 'pending' END AS state
"""
_IN_STATE = "($5::boolean IS NULL OR (parked_at IS NOT NULL) = $5)"
_BEHIND = """
SELECT * FROM outbox
WHERE published_at IS NULL AND (topic, key, id) > ($1::text, $2::text, $3::bigint) {topic}
ORDER BY topic, key, id LIMIT $4
"""
_PAGE = f"SELECT {_SHOWN} FROM ({_BEHIND}) AS o WHERE {_IN_STATE} ORDER BY topic, key, id LIMIT $6"
_LAST_READ = f"SELECT id FROM ({_BEHIND}) AS o ORDER BY topic, key, id OFFSET $4 - 1"
# Each topic with unsent rows is found by a step along the index, as in outbox_queue.py.
_OF_KEY = f"""
WITH RECURSIVE topics AS (
  (SELECT topic FROM outbox WHERE published_at IS NULL ORDER BY topic LIMIT 1)
  UNION ALL
  SELECT (SELECT topic FROM outbox WHERE published_at IS NULL AND topic > t.topic ORDER BY topic LIMIT 1)
  FROM topics t WHERE t.topic IS NOT NULL)
SELECT {_SHOWN} FROM (
  SELECT o.* FROM topics t CROSS JOIN LATERAL (
    SELECT * FROM outbox WHERE published_at IS NULL AND topic = t.topic AND key = $1
      AND ($4::boolean IS NULL OR (parked_at IS NOT NULL) = $4)
    ORDER BY topic, key, id LIMIT $2) AS o
  WHERE $3::text IS NULL OR t.topic = $3) AS of_key
ORDER BY id LIMIT $2
"""
_PLACE = "SELECT topic, key, id FROM outbox WHERE id = $1"
_OF_EVENT = f"SELECT {_SHOWN} FROM outbox WHERE event_id = $1"
_ONE = f"SELECT {_SHOWN} FROM outbox WHERE id = $1"
_PAYLOADS = "SELECT id, payload::text AS payload FROM outbox WHERE id = ANY($1::bigint[])"
_DUE_NOW = """
UPDATE outbox SET next_attempt_at = now() WHERE id = $1 AND published_at IS NULL AND next_attempt_at > now()
"""


class Unsent(StrEnum):
    """The states of an event that has not left: it is new or backs off, or has used up its tries."""

    PENDING = "pending"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Retry:
    """An administrator's order to send an event now: who, from where, and why."""

    user_id: int
    email: str
    address: str
    reason: str


RetryHook = Callable[[Tx, Row, Retry], Awaitable[None]]
"""Records a retry in the transaction that makes the event due."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order of topic, key and id; `next_after_id` leads to the next page, None at the end."""

    rows: list[Row]
    next_after_id: int | None


async def page(
    db: Database, *, topic: str | None, state: Unsent | None, after_id: int | None, limit: int, scan: int = SCAN
) -> Page:
    """Read the unsent events behind the row `after_id`. Raises Invalid when that row is not known any more."""
    # The relay empties the table meanwhile: without a snapshot the second read would begin at another row.
    async with db.driver() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        place = await _place(connection, after_id)
        behind = [*place, scan]
        only = "" if topic is None else "AND topic = ${}"
        named = [] if topic is None else [topic]
        statement = _PAGE.format(topic=only.format(7))
        rows = await connection.fetch(statement, *behind, _parked(state), limit, *named)
        if len(rows) == limit:
            return Page(rows, rows[-1]["id"])
        return Page(rows, await connection.fetchval(_LAST_READ.format(topic=only.format(5)), *behind, *named))


def _parked(state: Unsent | None) -> bool | None:
    return None if state is None else state is Unsent.PARKED


async def _place(connection: asyncpg.Connection, after_id: int | None) -> Place:
    if after_id is None:
        return FIRST_PLACE
    row = await connection.fetchrow(_PLACE, after_id)
    if row is None:
        raise Invalid("after_id: names no row of the outbox; begin without it")
    return row["topic"], row["key"], row["id"]


async def of_key(
    db: Database, key: str, limit: int, *, topic: str | None = None, state: Unsent | None = None
) -> list[Row]:
    """Read the oldest unsent events of a key, on all topics or on one."""
    async with db.driver() as connection:
        return list(await connection.fetch(_OF_KEY, key, limit, topic, _parked(state)))


async def of_event(db: Database, event_id: UUID) -> list[Row]:
    """Read the row of an event, also a published one. Empty if it is unknown or purged."""
    async with db.driver() as connection:
        return list(await connection.fetch(_OF_EVENT, event_id))


async def payloads(db: Database, ids: list[int]) -> dict[int, str]:
    """Read the payloads of rows as JSON text."""
    async with db.driver() as connection:
        return {row["id"]: row["payload"] for row in await connection.fetch(_PAYLOADS, ids)}


async def make_due(tx: Tx, row_id: int) -> Row | None:
    """End the backoff of an event and return its row. Returns None for an unknown id.

    One that is published, new or due already stays as it is.
    """
    driver = tx.driver()
    await driver.execute(_DUE_NOW, row_id)
    return await driver.fetchrow(_ONE, row_id)

"""The one statement by which events change the status of orders: a single event, or a run of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from chassis.db.database import Database, Tx
from orderfc.model import Cause, Status, moves

# $4 maps each status to the one that it becomes, NULL if it stays. The statement reads a snapshot from its start, but
# FOR UPDATE and UPDATE see the newest committed row. So the UPDATE maps the status that the row has now: one that must
# not change would become NULL, which the NOT NULL column rejects.
# Rows are locked in the order of their ids, inbox before orders: runs that share rows wait for each other and never
# deadlock. `unknown` looks up row by row, and `locked` has a list of ids: no plan reads a whole table.
# An INSERT into `inbox` beside those of chassis/db/inbox.py: it saves each message four round trips.
_APPLY = """
WITH incoming AS MATERIALIZED (SELECT * FROM unnest($2::uuid[], $3::bigint[]) AS incoming (event_id, order_id)),
unknown AS MATERIALIZED (
  SELECT order_id FROM incoming WHERE (SELECT id FROM orders WHERE id = incoming.order_id) IS NULL
    AND (SELECT i.event_id FROM inbox AS i WHERE i.consumer = $1 AND i.event_id = incoming.event_id) IS NULL),
received AS (
  INSERT INTO inbox (consumer, event_id)
  SELECT $1, event_id FROM incoming WHERE NOT EXISTS (SELECT FROM unknown) ORDER BY event_id
  ON CONFLICT DO NOTHING RETURNING event_id),
locked AS MATERIALIZED (
  SELECT id, status FROM orders
  WHERE id = ANY(ARRAY(SELECT order_id FROM incoming WHERE event_id IN (SELECT event_id FROM received)))
  ORDER BY id FOR UPDATE),
changed AS (
  UPDATE orders SET status = ($4::smallint[])[status + 1], updated_at = now()
  WHERE id = ANY(ARRAY(SELECT id FROM locked WHERE ($4::smallint[])[status + 1] IS NOT NULL))
  RETURNING id, status, extract(epoch FROM now() - created_at)::float8 AS age_s),
noted AS (INSERT INTO order_history (order_id, status, cause) SELECT id, status, $5 FROM changed)
SELECT ARRAY(SELECT order_id FROM unknown) AS unknown, ARRAY(SELECT event_id FROM received) AS received,
  ARRAY(SELECT id FROM locked) AS ids, ARRAY(SELECT status FROM locked) AS statuses,
  ARRAY(SELECT status FROM changed) AS moved, ARRAY(SELECT age_s FROM changed) AS ages_s
"""


_LOCK = "SELECT status FROM orders WHERE id = $1 AND ($2::bigint IS NULL OR user_id = $2) FOR UPDATE"
_CHANGE = """
WITH changed AS (
  UPDATE orders SET status = $3, updated_at = now() WHERE id = $1 AND status = $2
  RETURNING id, status, extract(epoch FROM now() - created_at)::float8 AS age_s),
noted AS (INSERT INTO order_history (order_id, status, cause) SELECT id, status, $4 FROM changed)
SELECT status, age_s FROM changed
"""


# By number: to call the enumeration takes seven times as long.
_STATUSES = tuple(Status)


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of `apply`: the events that are new, and the status of each of their orders before the change.

    `unknown` are orders that are not stored yet: then nothing was written. `moved` has the new status of each order
    that was changed, and the seconds since its checkout.
    """

    unknown: list[int]
    received: set[UUID]
    statuses: dict[int, Status]
    moved: list[tuple[Status, float]]


async def apply(db: Database, consumer: str, events: Sequence[tuple[UUID, int]], cause: Cause) -> Applied:
    """Write (identity, order id) pairs into the inbox, and change the orders of those that are new: all, or none.

    An order that is named several times is changed once.
    """
    async with db.driver() as connection:
        return await _apply(connection, consumer, events, cause)


async def apply_in(tx: Tx, consumer: str, events: Sequence[tuple[UUID, int]], cause: Cause) -> Applied:
    """Do what `apply` does in a transaction that has more to do."""
    return await _apply(tx.driver(), consumer, events, cause)


async def _apply(
    connection: asyncpg.Connection, consumer: str, events: Sequence[tuple[UUID, int]], cause: Cause
) -> Applied:
    first: dict[UUID, int] = {}
    for event_id, order_id in events:
        first.setdefault(event_id, order_id)
    [row] = await connection.fetch(_APPLY, consumer, list(first), list(first.values()), moves(cause), cause.value)
    statuses = {order_id: _STATUSES[status] for order_id, status in zip(row["ids"], row["statuses"], strict=True)}
    moved = [(_STATUSES[status], age_s) for status, age_s in zip(row["moved"], row["ages_s"], strict=True)]
    return Applied(row["unknown"], set(row["received"]), statuses, moved)


async def lock(tx: Tx, order_id: int, owner: int | None) -> Status | None:
    """Lock an order and return its status; None for an unknown order or one of another owner."""
    status = await tx.driver().fetchval(_LOCK, order_id, owner)
    return None if status is None else Status(status)


async def change(tx: Tx, order_id: int, old: Status, new: Status, cause: Cause) -> list[tuple[Status, float]]:
    """Change the status of an order that this transaction has locked, and append that to its history.

    Returns its new status with the seconds since its checkout; nothing when it had another status.
    """
    rows = await tx.driver().fetch(_CHANGE, order_id, int(old), int(new), cause.value)
    return [(Status(row["status"]), row["age_s"]) for row in rows]

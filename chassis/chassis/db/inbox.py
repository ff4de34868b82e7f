"""The inbox: one row per consumer and event, written first in the transaction that carries the effect.

The column `event_id` has the event's identity (`chassis.events.identity`). Rows of versions that kept `ce_id` itself
are not found: an event that comes again across that upgrade meets the business guards, as after a purge.

Where one statement does all the work of an event, its INSERT is a part of that: orderfc/repository/transitions.py,
paymentfc/repository/registration.py.
"""

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

import asyncpg

from chassis.db.database import Database, Tx
from chassis.events import Message

T = TypeVar("T")

_FIRST = "INSERT INTO inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true"
# In the order of the ids, so that two runs that share messages can't deadlock.
_FIRST_OF = """
INSERT INTO inbox (consumer, event_id) SELECT $1, id FROM unnest($2::uuid[]) AS id ORDER BY id
ON CONFLICT DO NOTHING RETURNING event_id
"""
_RECEIVED = "SELECT event_id, received_at FROM inbox WHERE consumer = $1 AND event_id = ANY($2::uuid[])"
_PURGE = """
DELETE FROM inbox WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM inbox WHERE received_at < now() - $1 * interval '1 day' ORDER BY received_at LIMIT $2))
"""


async def first_time(tx: Tx, consumer: str, message: Message) -> bool:
    """Record the message. Returns False for a duplicate: this consumer has applied it before.

    A second delivery at the same instant waits here until the first one's transaction ends.
    """
    return bool(await tx.driver().fetchval(_FIRST, consumer, message.identity))


async def first_times(tx: Tx, consumer: str, run: Sequence[tuple[UUID, T]]) -> tuple[list[T], list[T]]:
    """Record messages by their identities. Returns what comes with those that are new one by one, and the rest."""
    identities = [identity for identity, _ in run]
    new = {row[0] for row in await tx.driver().fetch(_FIRST_OF, consumer, identities)}
    firsts: list[T] = []
    repeated: list[T] = []
    for identity, each in run:
        (firsts if identity in new else repeated).append(each)
        new.discard(identity)
    return firsts, repeated


async def received(db: Database, consumer: str, identities: Sequence[UUID]) -> list[asyncpg.Record]:
    """Return `event_id` and `received_at` of those of the events that this consumer has applied."""
    async with db.driver() as connection:
        return list(await connection.fetch(_RECEIVED, consumer, identities))


async def purge(driver: asyncpg.Connection, limit: int, *, days: int) -> int:
    """Delete up to `limit` rows of messages received more than `days` ago. Return how many."""
    status = await driver.execute(_PURGE, days, limit)
    return int(status.split()[-1])

"""Idempotency keys: reserved with a lease, completed by checkout's statement, freed after every failure."""

from dataclasses import dataclass, field
from uuid import UUID, uuid4

import asyncpg

from chassis.db.database import Database

# On a conflict the statement waits for the row's last writer. It takes the key over when its lease has expired (the
# holder crashed), and otherwise writes it unchanged, so that it always returns a row: the one after the update.
_EXPIRED = "k.order_id IS NULL AND k.leased_until < now()"
_RESERVE = f"""
INSERT INTO idempotency_keys AS k (user_id, key, request_hash, lease_token, leased_until)
VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second')
ON CONFLICT (user_id, key) DO UPDATE SET
  request_hash = CASE WHEN {_EXPIRED} THEN excluded.request_hash ELSE k.request_hash END,
  lease_token = CASE WHEN {_EXPIRED} THEN excluded.lease_token ELSE k.lease_token END,
  leased_until = CASE WHEN {_EXPIRED} THEN excluded.leased_until ELSE k.leased_until END,
  created_at = CASE WHEN {_EXPIRED} THEN now() ELSE k.created_at END
RETURNING k.lease_token = $4 AS acquired, k.request_hash = $3 AS same_request, k.order_id
"""
_FREE = "DELETE FROM idempotency_keys WHERE user_id = $1 AND key = $2 AND lease_token = $3 AND order_id IS NULL"
_PURGE = """
DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM idempotency_keys
  WHERE created_at < now() - $1 * interval '1 hour' AND leased_until < now() ORDER BY created_at LIMIT $2))
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to use a user's key; `token` fences off a holder whose lease was taken over."""

    user_id: int
    key: str
    request_hash: bytes
    token: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, slots=True)
class Reservation:
    """The state of a key: `acquired` by this lease, or held by an earlier request, done when `order_id` is set."""

    acquired: bool
    same_request: bool
    order_id: int | None


async def reserve(db: Database, lease: Lease, lease_s: int) -> Reservation:
    """Reserve the key for `lease_s` seconds, or return the reservation of the request that holds it."""
    async with db.driver() as connection:
        row = await connection.fetchrow(_RESERVE, lease.user_id, lease.key, lease.request_hash, lease.token, lease_s)
    if row is None:
        raise RuntimeError("an upsert without a condition returned no row")
    return Reservation(row["acquired"], row["same_request"], row["order_id"])


async def free(db: Database, lease: Lease) -> None:
    """Delete the key, unless an order was stored under it or another request holds it."""
    async with db.driver() as connection:
        await connection.execute(_FREE, lease.user_id, lease.key, lease.token)


async def purge(driver: asyncpg.Connection, limit: int, *, hours: int) -> int:
    """Delete up to `limit` keys older than `hours`. Return how many."""
    status: str = await driver.execute(_PURGE, hours, limit)
    return int(status.rsplit(maxsplit=1)[-1])

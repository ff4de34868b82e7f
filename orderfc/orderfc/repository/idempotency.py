"""Idempotency keys: reserved with a lease, completed by the statement that places orders, freed after every failure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import asyncpg

from chassis.db.database import Database

# On a conflict the statement waits for the row's last writer. It takes the key over when its lease has expired (the
# holder crashed), and otherwise writes it unchanged, so that it always returns a row: the one after the update. A lease
# is as long as a request may take, whatever the clock of the platform does meanwhile.
_EXPIRED = "k.order_id IS NULL AND k.leased_until < statement_timestamp()"
_RESERVE = f"""
INSERT INTO idempotency_keys AS k (user_id, key, request_hash, lease_token, leased_until)
SELECT user_id, key, request_hash, lease_token, statement_timestamp() + $5 * interval '1 second'
FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::uuid[]) WITH ORDINALITY
  AS asked (user_id, key, request_hash, lease_token, place)
ORDER BY place
ON CONFLICT (user_id, key) DO UPDATE SET
  request_hash = CASE WHEN {_EXPIRED} THEN excluded.request_hash ELSE k.request_hash END,
  lease_token = CASE WHEN {_EXPIRED} THEN excluded.lease_token ELSE k.lease_token END,
  leased_until = CASE WHEN {_EXPIRED} THEN excluded.leased_until ELSE k.leased_until END,
  created_at = CASE WHEN {_EXPIRED} THEN now() ELSE k.created_at END
RETURNING k.user_id, k.key, k.lease_token, k.request_hash, k.order_id
"""
_FREE = "DELETE FROM idempotency_keys WHERE user_id = $1 AND key = $2 AND lease_token = $3 AND order_id IS NULL"
_PURGE = """
DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM idempotency_keys
  WHERE created_at < now() - $1 * interval '1 hour' AND (order_id IS NOT NULL OR leased_until < statement_timestamp())
  ORDER BY created_at LIMIT $2))
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to use a user's key; `token` fences off a holder whose lease was taken over."""

    user_id: int
    key: str
    request_hash: bytes
    token: UUID = field(default_factory=uuid4)

    @property
    def name(self) -> tuple[int, str]:
        """What no two leases can hold at the same time."""
        return self.user_id, self.key


@dataclass(frozen=True, slots=True)
class Reservation:
    """The state of a key: `acquired` by this lease, or held by an earlier request, done if `order_id` is set."""

    acquired: bool
    same_request: bool
    order_id: int | None


def lock_order(lease: Lease | None) -> tuple[int, str]:
    """Sort key of a statement's idempotency keys. All statements lock in this order, so that they can't deadlock."""
    return (0, "") if lease is None else lease.name


async def reserve(db: Database, leases: Sequence[Lease], lease_s: int) -> list[Reservation]:
    """Reserve different keys for `lease_s` seconds, or return the reservations of the requests that hold them.

    Reserving a second time with the same leases returns the same.
    """
    by_lock = sorted(leases, key=lock_order)
    async with db.driver() as connection:
        rows = await connection.fetch(
            _RESERVE,
            [lease.user_id for lease in by_lock],
            [lease.key for lease in by_lock],
            [lease.request_hash for lease in by_lock],
            [lease.token for lease in by_lock],
            lease_s,
        )
    found = {(row["user_id"], row["key"]): row for row in rows}
    return [_reservation(lease, found[lease.name]) for lease in leases]


def _reservation(lease: Lease, row: asyncpg.Record) -> Reservation:
    return Reservation(row["lease_token"] == lease.token, row["request_hash"] == lease.request_hash, row["order_id"])


async def free(db: Database, lease: Lease) -> None:
    """Delete the key, unless an order was stored under it or another request holds it."""
    async with db.driver() as connection:
        await connection.execute(_FREE, lease.user_id, lease.key, lease.token)


async def purge(driver: asyncpg.Connection, limit: int, *, hours: int) -> int:
    """Delete up to `limit` keys older than `hours`. Return how many."""
    status: str = await driver.execute(_PURGE, hours, limit)
    return int(status.rsplit(maxsplit=1)[-1])

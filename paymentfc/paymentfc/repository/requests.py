"""The rows of `payment_requests`: invoices to be made, claimed with a lease and written back only by its holder."""

from dataclasses import dataclass
from enum import StrEnum
from typing import cast
from uuid import UUID, uuid4

import asyncpg

from chassis.db.database import Database, Tx
from paymentfc.model.payment import Payment
from paymentfc.repository import payments


class RequestStatus(StrEnum):
    """PENDING and FAILED wait for an invoice, VERIFY for a last look-up of surplus invoices; the others are final."""

    PENDING = "PENDING"
    FAILED = "FAILED"
    VERIFY = "VERIFY"
    DONE = "DONE"
    CANCELLED = "CANCELLED"
    EXHAUSTED = "EXHAUSTED"


@dataclass(frozen=True, slots=True)
class Claim:
    """A request that this worker holds until its lease ends; `attempts` includes this one, `tries` counts refusals.

    `payment` and its `lines`, as JSON, are as they were at the time of the claim.
    """

    id: int
    order_id: int
    status: str
    attempts: int
    tries: int
    lease_token: UUID
    payment: Payment
    lines: str


# A lease lasts as long as the call to Xendit may take, whatever the clock of the platform does meanwhile.
_TAKE = (
    "lease_until = statement_timestamp() + $2 * interval '1 second', lease_token = $3, attempts = attempts + 1,"
    " update_time = now()"
)
FREE = "(lease_until IS NULL OR lease_until <= statement_timestamp())"
_ADD = "INSERT INTO payment_requests (payment_id, order_id, attempts) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_CLAIMED = f"""
WITH claimed AS ({{update}} RETURNING id, payment_id, order_id, status, attempts, tries, lease_token)
SELECT claimed.*, p.lines::text AS lines, {payments.JOINED} FROM claimed
CROSS JOIN LATERAL (SELECT * FROM payments WHERE payments.id = claimed.payment_id LIMIT 1) AS p
"""
# ARRAY chooses the rows once, before the update. A subquery in WHERE may run once per row, and each run skips what the
# earlier ones have locked; a join with the chosen rows may read the whole table. The statuses are in the text of the
# statement, because a plan for any statuses can't use an index of some.
_CLAIM = _CLAIMED.format(
    update=f"""
  UPDATE payment_requests SET {_TAKE} WHERE id = ANY(ARRAY(
    SELECT id FROM payment_requests WHERE {{status}} AND next_attempt_at <= now() AND {FREE}
    ORDER BY next_attempt_at, id LIMIT $1 FOR UPDATE SKIP LOCKED))"""
)
NEW = "status = 'PENDING'"
AGAIN = "status IN ('FAILED', 'VERIFY')"
_CLAIM_NEW, _CLAIM_AGAIN = _CLAIM.format(status=NEW), _CLAIM.format(status=AGAIN)
_CLAIM_ONE = _CLAIMED.format(
    update=f"""
  UPDATE payment_requests SET {_TAKE} WHERE id = ANY(ARRAY(
    SELECT id FROM payment_requests
    WHERE order_id = $1 AND status IN ('PENDING', 'FAILED') AND next_attempt_at <= now() AND {FREE}
    FOR UPDATE SKIP LOCKED))"""
)
_FINISH = """
UPDATE payment_requests SET status = $3, lease_until = NULL, lease_token = NULL, update_time = now(),
  next_attempt_at = now() + $4 * interval '1 second'
WHERE id = $1 AND lease_token = $2
"""
_POSTPONE = """
UPDATE payment_requests SET status = $3, lease_until = NULL, lease_token = NULL, update_time = now(),
  next_attempt_at = now() + $4 * interval '1 second', last_error = left($5, 500), tries = tries + $6,
  retry_count = retry_count + 1
WHERE id = $1 AND lease_token = $2 RETURNING true
"""
_OLDER_THAN = "SELECT create_time <= now() - $2 * interval '1 second' FROM payments WHERE id = $1"


async def add(tx: Tx, payment_id: int, order_id: int, *, attempts: int = 0) -> None:
    await tx.driver().execute(_ADD, payment_id, order_id, attempts)


async def claim_new(db: Database, limit: int, lease_s: float) -> list[Claim]:
    """Claim requests that were not tried yet. The claim is committed: Xendit is called outside a transaction."""
    return await _claim(db, _CLAIM_NEW, limit, lease_s)


async def claim_again(db: Database, limit: int, lease_s: float) -> list[Claim]:
    """Claim requests that have failed, or want a last look, and are due and without a holder."""
    return await _claim(db, _CLAIM_AGAIN, limit, lease_s)


async def _claim(db: Database, statement: str, limit: int, lease_s: float) -> list[Claim]:
    async with db.driver() as connection:
        rows = await connection.fetch(statement, limit, lease_s, uuid4())
    return [_claim_of(row) for row in rows]


async def claim_order(db: Database, order_id: int, lease_s: float) -> Claim | None:
    """Claim the request of one order. Returns None if it is done, in its backoff, or held by another worker."""
    async with db.driver() as connection:
        row = await connection.fetchrow(_CLAIM_ONE, order_id, lease_s, uuid4())
    return _claim_of(row) if row else None


def _claim_of(row: asyncpg.Record) -> Claim:
    names = ("id", "order_id", "status", "attempts", "tries", "lease_token", "lines")
    return Claim(**{name: row[name] for name in names}, payment=cast("Payment", payments.joined(row)))


async def finish(tx: Tx, claim: Claim, status: RequestStatus, *, again_in_s: float = 0.0) -> None:
    """Set the final status of a request, or VERIFY due in `again_in_s` seconds; a no-op when the lease is lost."""
    await tx.driver().execute(_FINISH, claim.id, claim.lease_token, status.value, again_in_s)


async def postpone(tx: Tx, claim: Claim, status: RequestStatus, error: str, wait_s: float, *, refused: bool) -> bool:
    """Store the error, due again in `wait_s` seconds. Returns False if another worker holds the request by now."""
    arguments = (claim.id, claim.lease_token, status.value, wait_s, error, int(refused))
    return bool(await tx.driver().fetchval(_POSTPONE, *arguments))


async def is_older_than(tx: Tx, payment_id: int, age_s: float) -> bool:
    """Whether the payment is older than `age_s` seconds by the clock of the database."""
    return bool(await tx.driver().fetchval(_OLDER_THAN, payment_id, age_s))

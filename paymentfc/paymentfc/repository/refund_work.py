"""The work on the rows of `refunds`: those to be sent or looked at, claimed with a lease, and Xendit's callbacks."""

from chassis.db.database import Database, Tx
from paymentfc.model.callback import amount_text
from paymentfc.model.refund import Cause, Refund, RefundCallback, RefundStatus
from paymentfc.repository.refunds import FIELDS

# These may be known from a callback only, and a refund by invoice could give back the money of a completed order:
# Xendit shows one payment of an invoice, and isn't asked about a wrong amount that an administrator closes.
_BY_A_PERSON = f"'{Cause.PAID_TWICE}', '{Cause.AMOUNT_MISMATCH}'"
AUTOMATIC = f"status = 'DUE' AND cause NOT IN ({_BY_A_PERSON})"
WORK = "status = 'REQUESTED'"
_AUTOMATIC = f"SELECT order_id, id FROM refunds WHERE {AUTOMATIC} ORDER BY id LIMIT $1"
_REQUEST = """
UPDATE refunds SET status = 'REQUESTED', requested_at = now(), due_at = now(), update_time = now()
WHERE id = $1 AND status = 'DUE' RETURNING true
"""
# The most that one claim takes, and ARRAY: see closings.py and requests.py.
_MOST = 64
_CLAIM = f"""
WITH due AS MATERIALIZED (
  SELECT * FROM (
    SELECT id AS due_id FROM refunds WHERE {WORK} AND due_at <= now()
    ORDER BY due_at LIMIT {_MOST} FOR UPDATE SKIP LOCKED) AS first LIMIT $1)
UPDATE refunds SET due_at = now() + $2 * interval '1 second', attempts = attempts + 1
FROM due WHERE id = due_id
RETURNING {FIELDS}, (SELECT p.traceparent FROM payments AS p WHERE p.id = refunds.payment_id) AS traceparent
"""
# Whoever first reads the end at Xendit stores it. `due_at` is the end of the lease and identifies it: another claim, or
# a callback, changes it. A refusal is the result of one call only: another claim may have made the refund since.
_FINISH = f"""
UPDATE refunds SET status = $2, failure_code = $3, gateway_id = coalesce(gateway_id, $4), last_error = NULL,
  succeeded_at = CASE WHEN $2 = 'SUCCEEDED' THEN now() END, failed_at = CASE WHEN $2 <> 'SUCCEEDED' THEN now() END,
  update_time = now()
WHERE id = $1 AND {WORK} AND ($2 <> 'MANUAL' OR (due_at = $5 AND gateway_id IS NULL)) RETURNING true
"""
_KEEP_PENDING = f"""
UPDATE refunds SET gateway_id = coalesce(gateway_id, $3), due_at = now() + $4 * interval '1 second', last_error = NULL,
  update_time = now()
WHERE id = $1 AND {WORK} AND due_at = $2
"""
_POSTPONE = f"""
UPDATE refunds SET due_at = now() + $3 * interval '1 second', last_error = left($4, 500) WHERE id = $1 AND {WORK}
  AND due_at = $2
"""
_LOOK_NOW = f"UPDATE refunds SET due_at = now() WHERE id = $1 AND {WORK} RETURNING true"
_STATUS = "SELECT status FROM refunds WHERE id = $1"
_ADD_CALLBACK = """
INSERT INTO refund_callbacks (gateway_id, reference_id, status, amount, currency, body, webhook_id)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (gateway_id, reference_id, status, amount, currency)
DO UPDATE SET deliveries = refund_callbacks.deliveries + 1
"""


async def automatic(db: Database, limit: int) -> list[tuple[int, int]]:
    """Return (order id, refund id) of refunds that are sent without an administrator."""
    async with db.driver() as connection:
        return [(row["order_id"], row["id"]) for row in await connection.fetch(_AUTOMATIC, limit)]


async def request(tx: Tx, refund_id: int) -> bool:
    """Have a refund sent. Returns False if it is not due any more."""
    return bool(await tx.driver().fetchval(_REQUEST, refund_id))


async def claim(db: Database, limit: int, lease_s: float) -> list[Refund]:
    async with db.driver() as connection:
        return [Refund.of(dict(row)) for row in await connection.fetch(_CLAIM, limit, lease_s)]


async def finish(tx: Tx, refund: Refund, status: RefundStatus, code: str | None, gateway_id: str | None) -> bool:
    """Store the end of a refund. Returns False if an end is stored already, and for MANUAL if the claim has expired."""
    values = (refund.id, status.value, code, gateway_id, refund.due_at)
    return bool(await tx.driver().fetchval(_FINISH, *values))


async def keep_pending(db: Database, refund: Refund, gateway_id: str, wait_s: float) -> None:
    async with db.driver() as connection:
        await connection.execute(_KEEP_PENDING, refund.id, refund.due_at, gateway_id, wait_s)


async def postpone(db: Database, refund: Refund, wait_s: float, error: str) -> None:
    async with db.driver() as connection:
        await connection.execute(_POSTPONE, refund.id, refund.due_at, wait_s, error)


async def look_now(tx: Tx, refund_id: int) -> bool:
    """Have Xendit asked about a refund now. Returns False if the refund does not wait for Xendit."""
    return bool(await tx.driver().fetchval(_LOOK_NOW, refund_id))


async def status_of(tx: Tx, refund_id: int) -> RefundStatus | None:
    status = await tx.driver().fetchval(_STATUS, refund_id)
    return RefundStatus(status) if status else None


async def add_callback(tx: Tx, callback: RefundCallback, body: str, webhook_id: str | None) -> None:
    """Store a callback; a repeated one is only counted."""
    money = (amount_text(callback.amount), callback.currency)
    values = (callback.gateway_id, callback.reference or "", callback.status, *money, body, webhook_id)
    await tx.driver().execute(_ADD_CALLBACK, *values)

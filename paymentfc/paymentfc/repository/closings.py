"""The rows of `invoice_closings`: invoices to be expired at Xendit, and read once more a day later."""

from dataclasses import dataclass
from enum import StrEnum

from chassis.db.database import Database, Tx
from paymentfc.model.payment import Payment


class Step(StrEnum):
    """The next step for an invoice that must not be paid any more."""

    EXPIRE = "expire"
    LOOK_AGAIN = "look_again"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Closing:
    """One claimed step; `attempts` includes this one. `traceparent` is that of the order's checkout."""

    invoice_id: str
    external_id: str
    step: Step
    attempts: int
    traceparent: str | None = None


_ADD = """
INSERT INTO invoice_closings (invoice_id, payment_id, external_id, step, due_at)
VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second') ON CONFLICT DO NOTHING
"""
# The most that one claim takes. A plan for any $1 alone expects a tenth of all due rows, and reads the whole table.
_MOST = 64
_CLAIM = f"""
WITH due AS MATERIALIZED (
  SELECT * FROM (
    SELECT invoice_id AS due_id FROM invoice_closings WHERE step <> 'done' AND due_at <= now()
    ORDER BY due_at LIMIT {_MOST} FOR UPDATE SKIP LOCKED) AS first LIMIT $1)
UPDATE invoice_closings SET due_at = now() + $2 * interval '1 second', attempts = attempts + 1
FROM due WHERE invoice_id = due_id
RETURNING invoice_id, external_id, step, attempts,
  (SELECT p.traceparent FROM payments p WHERE p.id = payment_id) AS traceparent
"""
# _MOVE and _POSTPONE: only from the claimed step, because after its lease another worker may have gone on.
_MOVE = """
UPDATE invoice_closings SET step = $2, due_at = now() + $3 * interval '1 second', attempts = 0, last_error = NULL,
  done_at = CASE WHEN $2 = 'done' THEN now() END
WHERE invoice_id = $1 AND step = $4
"""
_POSTPONE = """
UPDATE invoice_closings SET due_at = now() + $2 * interval '1 second', last_error = left($3, 500)
WHERE invoice_id = $1 AND step = $4
"""
_IS_LISTED = "SELECT EXISTS (SELECT 1 FROM invoice_closings WHERE invoice_id = $1)"


async def add(tx: Tx, payment: Payment, invoice_id: str, step: Step, in_s: float = 0.0) -> None:
    """List an invoice to be expired, or read again, in `in_s` seconds; a no-op when it is listed already."""
    await tx.driver().execute(_ADD, invoice_id, payment.id, payment.external_id, step.value, in_s)


async def claim(db: Database, limit: int, lease_s: float) -> list[Closing]:
    async with db.driver() as connection:
        rows = await connection.fetch(_CLAIM, limit, lease_s)
    return [
        Closing(row["invoice_id"], row["external_id"], Step(row["step"]), row["attempts"], row["traceparent"])
        for row in rows
    ]


async def move(tx: Tx, closing: Closing, step: Step, in_s: float = 0.0) -> None:
    await tx.driver().execute(_MOVE, closing.invoice_id, step.value, in_s, closing.step.value)


async def postpone(db: Database, closing: Closing, wait_s: float, error: str) -> None:
    async with db.driver() as connection:
        await connection.execute(_POSTPONE, closing.invoice_id, wait_s, error, closing.step.value)


async def is_listed(tx: Tx, invoice_id: str) -> bool:
    """Whether this service closes, or has closed, the invoice."""
    return bool(await tx.driver().fetchval(_IS_LISTED, invoice_id))

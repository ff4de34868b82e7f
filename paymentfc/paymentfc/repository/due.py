"""What the loops of this service would find to do, read in one statement: at rest each would ask for itself."""

from dataclasses import dataclass

import asyncpg

from chassis.db.database import Database
from paymentfc.repository.payments import OPEN
from paymentfc.repository.refund_work import AUTOMATIC, WORK
from paymentfc.repository.requests import AGAIN, FREE, NEW


@dataclass(frozen=True, slots=True)
class Due:
    """Seconds until the next item of each kind is due: 0 or less if one is due now, None if there is no item.

    Of the first four, only what is due now counts.
    """

    requests: float | None
    retries: float | None
    expiry: float | None
    status: float | None
    confirmations: float | None
    closings: float | None
    audit: float | None
    refunds: float | None


# What a look raises that PostgreSQL has ended after the time limit of statements.
TOO_SLOW = asyncpg.QueryCanceledError
_IN_S = "extract(epoch FROM due_at - now())::float8"
# The conditions are those of the claims, each read along the claim's index to its first row: ORDER BY says which.
_DUE = f"""
SELECT
  (SELECT 0::float8 FROM payment_requests WHERE {NEW} AND next_attempt_at <= now() AND {FREE}
   ORDER BY next_attempt_at, id LIMIT 1) AS requests,
  (SELECT 0::float8 FROM payment_requests WHERE {AGAIN} AND next_attempt_at <= now() AND {FREE}
   ORDER BY next_attempt_at, id LIMIT 1) AS retries,
  coalesce(
    (SELECT 0::float8 FROM payments WHERE {OPEN} AND sweep_after IS NULL AND expires_at <= now()
     ORDER BY expires_at LIMIT 1),
    (SELECT 0::float8 FROM payments WHERE {OPEN} AND sweep_after <= now() AND expires_at <= now()
     ORDER BY sweep_after LIMIT 1)) AS expiry,
  coalesce(
    (SELECT 0::float8 FROM payments
     WHERE {OPEN} AND check_after IS NULL AND invoice_time <= now() - $1 * interval '1 second'
     ORDER BY invoice_time DESC LIMIT 1),
    (SELECT 0::float8 FROM payments WHERE {OPEN} AND check_after <= now() ORDER BY check_after LIMIT 1)) AS status,
  (SELECT {_IN_S} FROM payment_confirmations ORDER BY due_at LIMIT 1) AS confirmations,
  (SELECT {_IN_S} FROM invoice_closings WHERE step <> 'done' ORDER BY due_at LIMIT 1) AS closings,
  (SELECT {_IN_S} FROM audit_outbox ORDER BY due_at, id LIMIT 1) AS audit,
  coalesce(
    (SELECT 0::float8 FROM refunds WHERE $2 AND {AUTOMATIC} ORDER BY id LIMIT 1),
    (SELECT {_IN_S} FROM refunds WHERE {WORK} ORDER BY due_at LIMIT 1)) AS refunds
"""


async def due(db: Database, min_age_s: float, *, automatic_refunds: bool) -> Due:
    """Look at all kinds of work. An open invoice that was never checked is due when it is `min_age_s` seconds old."""
    async with db.driver() as connection:
        [row] = await connection.fetch(_DUE, min_age_s, automatic_refunds)
    return Due(*row)

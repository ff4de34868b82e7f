"""The one statement that stores a usual callback: the first of its kind about the invoice of an open payment.

The invoice may not be stored yet: a callback can overtake the answer that brings it.
"""

from chassis import telemetry
from chassis.db.database import Database
from paymentfc.model.callback import Callback, amount_text
from paymentfc.repository import receipts
from paymentfc.repository.confirmations import DUE_NOW

# Without an invoice the first of its callbacks is stored here: the bound on made-up ones is counted under the lock.
_ARRIVE = f"""
WITH open AS MATERIALIZED (
  SELECT order_id FROM payments
  WHERE external_id = $2 AND amount = $4::text::numeric AND currency = $5 AND status = 'PENDING'
    AND (invoice_id = $1 OR (invoice_id IS NULL
      AND NOT EXISTS (SELECT FROM payment_confirmations WHERE external_id = $2 AND invoice_id <> $1)))
  FOR UPDATE),
stored AS (
  INSERT INTO payment_callbacks
    (invoice_id, external_id, amount, currency, status, asked_amount, body, webhook_id, receipt, outcome, applied_time)
  SELECT $1, $2, $4, $5, $6::text, $7::text, $8::text, $9::text, $10::text, 'confirming', now() FROM open
  ON CONFLICT (invoice_id, external_id, status, amount, currency) DO NOTHING RETURNING id),
named AS ({receipts.ADD.format(only_if="AND EXISTS (SELECT FROM stored)")}),
listed AS (
  INSERT INTO payment_confirmations (invoice_id, external_id, traceparent)
  SELECT $1, $2, $11::text FROM stored {DUE_NOW})
SELECT order_id FROM open, stored
"""


async def arrive(db: Database, callback: Callback, body: str, webhook_id: str | None) -> int | None:
    """Store a callback, with what it names, to be confirmed now, and return its order.

    None, and nothing is stored, unless there is an open payment with its amount and currency, with its invoice or none,
    and no such callback yet.
    """
    async with db.driver() as connection:
        order_id: int | None = await connection.fetchval(
            _ARRIVE,
            callback.invoice_id,
            callback.external_id,
            callback.receipt if callback.says_paid else None,
            amount_text(callback.judged_amount),
            callback.currency,
            callback.status,
            amount_text(callback.amount),
            body,
            webhook_id,
            callback.receipt,
            telemetry.inject({}).get("traceparent"),
        )
    return order_id

"""The one statement that stores usual callbacks: each the first of its kind about the invoice of an open payment.

The invoice may not be stored yet: a callback can overtake the answer that brings it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chassis import telemetry
from chassis.db.database import Database
from paymentfc.model.callback import Callback, amount_text
from paymentfc.repository import receipts
from paymentfc.repository.confirmations import DUE_NOW
from paymentfc.repository.together import in_lock_order

# Payments are read row by row, in the order of `asked`: so they are locked in this order, and a plan that was made
# while the table was empty does not read it as a whole. Without an invoice the first of its callbacks is stored here:
# the bound on made-up ones is counted under the lock.
ARRIVE = f"""
WITH asked AS MATERIALIZED (
  SELECT * FROM unnest(
    $1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::text[]
  ) AS asked (
    place, invoice_id, external_id, named, amount, currency, status, asked_amount, body, webhook_id, receipt,
    traceparent)),
open AS MATERIALIZED (
  SELECT asked.*, payment.order_id FROM asked CROSS JOIN LATERAL (
    SELECT order_id FROM payments AS p
    WHERE p.external_id = asked.external_id AND p.amount = asked.amount::numeric AND p.currency = asked.currency
      AND p.status = 'PENDING' AND (p.invoice_id = asked.invoice_id OR (p.invoice_id IS NULL
        AND NOT EXISTS (SELECT FROM payment_confirmations AS other
          WHERE other.external_id = asked.external_id AND other.invoice_id <> asked.invoice_id)))
    LIMIT 1 FOR UPDATE) AS payment),
stored AS (
  INSERT INTO payment_callbacks
    (invoice_id, external_id, amount, currency, status, asked_amount, body, webhook_id, receipt, outcome, applied_time)
  SELECT invoice_id, external_id, amount, currency, status, asked_amount, body, webhook_id, receipt, 'confirming', now()
  FROM open
  ON CONFLICT (invoice_id, external_id, status, amount, currency) DO NOTHING RETURNING external_id),
first AS MATERIALIZED (SELECT open.* FROM open JOIN stored USING (external_id)),
named AS ({receipts.ADD.format(source="first")}),
listed AS (
  INSERT INTO payment_confirmations (invoice_id, external_id, traceparent)
  SELECT invoice_id, external_id, traceparent FROM first {DUE_NOW})
SELECT place, order_id FROM first
"""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A callback as it came; `traceparent` is that of its request."""

    callback: Callback
    body: str
    webhook_id: str | None
    traceparent: str | None

    @classmethod
    def of(cls, callback: Callback, body: str, webhook_id: str | None) -> "Arrival":
        """Return the callback of the current request."""
        return cls(callback, body, webhook_id, telemetry.inject({}).get("traceparent"))

    @property
    def external_id(self) -> str:
        return self.callback.external_id


async def arrive(db: Database, arrivals: Sequence[Arrival]) -> list[int | None]:
    """Store callbacks of different orders, with what they name, to be confirmed now, and return their orders.

    None, and nothing is stored of it, unless there is an open payment with its amount and currency, with its invoice or
    none, and no such callback yet.
    """
    rows = [(place, *_row(each)) for place, each in in_lock_order(arrivals, lambda each: each.external_id)]
    async with db.driver() as connection:
        stored = await connection.fetch(ARRIVE, *zip(*rows, strict=True))
    found: dict[int, int] = {row["place"]: row["order_id"] for row in stored}
    return [found.get(place) for place in range(len(arrivals))]


def _row(arrival: Arrival) -> tuple[str | None, ...]:
    callback = arrival.callback
    return (
        callback.invoice_id,
        callback.external_id,
        callback.receipt if callback.says_paid else None,
        amount_text(callback.judged_amount),
        callback.currency,
        callback.status,
        amount_text(callback.amount),
        arrival.body,
        arrival.webhook_id,
        callback.receipt,
        arrival.traceparent,
    )

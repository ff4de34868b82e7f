"""The rows of `payment_callbacks`: every callback of Xendit, one row per distinct case."""

from dataclasses import dataclass
from decimal import Decimal

from chassis.db.database import Tx
from paymentfc.model.callback import Callback, Outcome, amount_text

_ADD = """
INSERT INTO payment_callbacks (invoice_id, external_id, status, amount, asked_amount, currency, body, webhook_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (invoice_id, external_id, status, amount, currency) DO NOTHING
RETURNING id
"""
_COUNT_AGAIN = """
UPDATE payment_callbacks SET deliveries = deliveries + 1
WHERE invoice_id = $1 AND external_id = $2 AND status = $3 AND amount = $4 AND currency = $5
"""
_SET_OUTCOME = "UPDATE payment_callbacks SET outcome = $2, applied_time = now() WHERE id = $1"
_WAITING = """
SELECT id, invoice_id, external_id, status, asked_amount, amount, currency FROM payment_callbacks
WHERE external_id = $1 AND outcome = 'waiting' ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A callback with the id of its row."""

    id: int
    callback: Callback


async def add(tx: Tx, callback: Callback, body: str, webhook_id: str | None) -> Stored | None:
    """Store a callback; None for a repeated one, which is only counted."""
    amount = amount_text(callback.judged_amount)
    key = (callback.invoice_id, callback.external_id, callback.status, amount)
    driver = tx.driver()
    row_id = await driver.fetchval(_ADD, *key, amount_text(callback.amount), callback.currency, body, webhook_id)
    if row_id is None:
        await driver.execute(_COUNT_AGAIN, *key, callback.currency)
        return None
    return Stored(row_id, callback)


async def set_outcome(tx: Tx, stored: Stored, outcome: Outcome) -> None:
    await tx.driver().execute(_SET_OUTCOME, stored.id, outcome.value)


async def waiting(tx: Tx, ext_id: str) -> list[Stored]:
    """Return the callbacks that came before their payment, in the order of arrival."""
    rows = await tx.driver().fetch(_WAITING, ext_id)
    return [
        Stored(
            row["id"],
            Callback(
                invoice_id=row["invoice_id"],
                external_id=row["external_id"],
                status=row["status"],
                amount=Decimal(row["asked_amount"]),
                paid_amount=Decimal(row["amount"]),
                currency=row["currency"],
            ),
        )
        for row in rows
    ]

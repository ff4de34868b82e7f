"""The rows of payment_anomalies: one per distinct (invoice, kind, amount, currency)."""

from chassis.db import Tx

from paymentfc.model import Anomaly, AnomalyKind, Callback, Payment, amount_text

_ADD = """
INSERT INTO payment_anomalies
  (order_id, payment_id, external_id, invoice_id, kind, expected, received, amount, currency)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (invoice_id, kind, amount, currency) DO NOTHING
RETURNING id
"""
_RESOLVE_WAITING = """
UPDATE payment_anomalies SET resolved_at = now(), note = $3, order_id = $4, payment_id = $5
WHERE external_id = $1 AND kind = $2 AND payment_id IS NULL AND resolved_at IS NULL
"""


async def add(tx: Tx, anomaly: Anomaly, callback: Callback, payment: Payment | None) -> bool:
    """Record an anomaly; False when the same case is recorded already."""
    found = await tx.driver().fetchval(
        _ADD,
        payment.order_id if payment else None,
        payment.id if payment else None,
        callback.external_id,
        callback.invoice_id,
        anomaly.kind.value,
        anomaly.expected,
        anomaly.received,
        amount_text(callback.judged_amount),
        callback.currency,
    )
    return found is not None


async def resolve_unknown(tx: Tx, payment: Payment, note: str) -> None:
    """Resolve what was recorded while the payment was unknown: its order has appeared."""
    await tx.driver().execute(
        _RESOLVE_WAITING, payment.external_id, AnomalyKind.UNKNOWN_INVOICE.value, note, payment.order_id, payment.id
    )

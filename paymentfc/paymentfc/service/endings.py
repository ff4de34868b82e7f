"""Ends the payment of an order that is over in another service: its stock was rejected, or it was cancelled."""

from chassis.db.database import Tx
from paymentfc.model.callback import Anomaly, AnomalyKind, Callback
from paymentfc.model.payment import Payment, Reason, Status, external_id
from paymentfc.repository import payments
from paymentfc.service.settlement import close, record


async def end(tx: Tx, order_id: int, reason: Reason, text: str, actor: str) -> Status | None:
    """Close the open payment of an order and return its former status; a tombstone stands for an unknown order.

    A PAID payment stays paid and becomes an anomaly: its money is to be refunded. Nothing is published, because the
    order knows the reason (one of KNOWN_TO_ORDER) itself.
    """
    payment = await payments.lock_order(tx, external_id(order_id))
    if payment is None:
        await payments.add_tombstone(tx, order_id, reason, text)
        return None
    if payment.status is Status.PAID:
        refund = Anomaly(AnomalyKind.PAID_AFTER_CLOSE, reason.value, Status.PAID.value)
        await record(tx, refund, _as_paid(payment), payment, actor)
    await close(tx, payment, Status.FAILED, reason, actor)
    return payment.status


def _as_paid(payment: Payment) -> Callback:
    """Return the callback that would have paid this payment: an anomaly is recorded about a callback."""
    return Callback(
        invoice_id=payment.invoice_id or "",
        external_id=payment.external_id,
        status="PAID",
        amount=payment.amount,
        currency=payment.currency,
    )

"""stock.rejected: closes the payment and has its invoice expired, or leaves a tombstone for an unknown order."""

import asyncio

import structlog

from chassis.db.database import Database
from chassis.db.inbox import first_time
from chassis.events import Message
from paymentfc.config import Settings
from paymentfc.events import StockRejected
from paymentfc.model.callback import Anomaly, AnomalyKind, Callback
from paymentfc.model.payment import Payment, Reason, Status, external_id
from paymentfc.repository import payments
from paymentfc.service.settlement import close, record

log = structlog.get_logger(__name__)

ACTOR = "stock.rejected"


async def close_rejected_order(db: Database, wake: asyncio.Event, message: Message, rejected: StockRejected) -> None:
    """Apply the event once. A PAID payment stays paid and becomes an anomaly: its money is to be refunded.

    `wake` wakes the loop that expires invoices.
    """
    async with db.transaction() as tx:
        if not await first_time(tx, Settings.service, message):
            return
        payment = await payments.lock_order(tx, external_id(rejected.order_id))
        if payment is None:
            await payments.add_tombstone(tx, rejected.order_id, rejected.reason)
            return
        if payment.status is Status.PAID:
            refund = Anomaly(AnomalyKind.PAID_AFTER_CLOSE, Reason.STOCK_REJECTED.value, Status.PAID.value)
            await record(tx, refund, _as_paid(payment), payment, ACTOR)
        await tx.publish(*await close(tx, payment, Status.FAILED, Reason.STOCK_REJECTED, ACTOR))
    wake.set()
    log.info("order without stock closed", former_status=payment.status)


def _as_paid(payment: Payment) -> Callback:
    """Return the callback that would have paid this payment: an anomaly is recorded about a callback."""
    return Callback(
        invoice_id=payment.invoice_id or "",
        external_id=payment.external_id,
        status="PAID",
        amount=payment.amount,
        currency=payment.currency,
    )

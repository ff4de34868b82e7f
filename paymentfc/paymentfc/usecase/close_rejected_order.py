"""stock.rejected: closes the payment and has its invoice expired, or keeps the news until the order is known."""

import asyncio

import structlog

from chassis.db.database import Database
from chassis.db.inbox import first_time
from chassis.events import Message
from paymentfc.events import StockRejected
from paymentfc.model.callback import Anomaly, AnomalyKind, Callback
from paymentfc.model.payment import Reason, Status, external_id
from paymentfc.repository import payments
from paymentfc.service.settlement import close, record

log = structlog.get_logger(__name__)

ACTOR = "stock.rejected"


class CloseRejectedOrder:
    """The consumer's action; `wake` is the hint to the loop that expires invoices."""

    def __init__(self, db: Database, wake: asyncio.Event) -> None:
        self._db = db
        self._wake = wake

    async def __call__(self, rejected: StockRejected, message: Message) -> None:
        """Apply the event once: PENDING fails, PAID becomes a refund to look at, unknown leaves a tombstone."""
        async with self._db.transaction() as tx:
            if not await first_time(tx, "paymentfc", message):
                return
            payment = await payments.lock_order(tx, external_id(rejected.order_id))
            if payment is None:
                await payments.bury(tx, rejected.order_id, rejected.reason)
                return
            if payment.status is Status.PAID:
                refund = Anomaly(AnomalyKind.PAID_AFTER_CLOSE, Reason.STOCK_REJECTED.value, Status.PAID.value)
                paid = Callback(payment.invoice_id or "", payment.external_id, "PAID", payment.amount, None,
                                payment.currency)  # fmt: skip
                await record(tx, refund, paid, payment, ACTOR)
            await tx.publish(*await close(tx, payment, Status.FAILED, Reason.STOCK_REJECTED, ACTOR))
        self._wake.set()
        log.info("order without stock closed", order_id=rejected.order_id, former_status=payment.status)

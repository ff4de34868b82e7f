"""stock.rejected: closes the payment and has its invoice expired, or leaves a tombstone for an unknown order."""

import asyncio

import structlog

from chassis.db.database import Database
from chassis.db.inbox import first_time
from chassis.events import Message
from paymentfc.config import Settings
from paymentfc.events import StockRejected
from paymentfc.model.payment import Reason
from paymentfc.service.endings import end

log = structlog.get_logger(__name__)

ACTOR = "stock.rejected"


async def close_rejected_order(db: Database, wake: asyncio.Event, message: Message, rejected: StockRejected) -> None:
    """Apply the event once. A PAID payment stays paid and becomes an anomaly: its money is to be refunded.

    `wake` wakes the loop that expires invoices.
    """
    async with db.transaction() as tx:
        if not await first_time(tx, Settings.service, message):
            return
        former = await end(tx, rejected.order_id, Reason.STOCK_REJECTED, rejected.reason, ACTOR)
    wake.set()
    log.info("order without stock closed", former_status=former)

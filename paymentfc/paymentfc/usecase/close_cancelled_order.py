"""order.cancelled: closes the payment and has its invoice expired, or leaves a tombstone for an unknown order."""

import asyncio

import structlog

from chassis.db.database import Database
from chassis.db.inbox import first_time
from chassis.events import Message
from paymentfc.config import Settings
from paymentfc.events import OrderCancelled
from paymentfc.model.payment import Reason
from paymentfc.service.endings import end

log = structlog.get_logger(__name__)

ACTOR = "order.cancelled"


async def close_cancelled_order(db: Database, wake: asyncio.Event, message: Message, cancelled: OrderCancelled) -> None:
    """Apply the event once. A PAID payment stays paid and becomes an anomaly: the money overtook the cancellation.

    `wake` wakes the loop that expires invoices.
    """
    async with db.transaction() as tx:
        if not await first_time(tx, Settings.service, message):
            return
        former = await end(tx, cancelled.order_id, Reason.ORDER_CANCELLED, cancelled.reason, ACTOR)
    wake.set()
    log.info("cancelled order closed", former_status=former)

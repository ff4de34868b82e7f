"""An administrator has a refund that is due sent to Xendit."""

import asyncio

import structlog

from chassis.db.database import Database
from paymentfc.errors import RefundNotFound, RefundNotOpen
from paymentfc.model.payment import external_id
from paymentfc.model.refund import Refund, RefundStatus
from paymentfc.repository import payments, refunds
from paymentfc.repository.audit import Admin
from paymentfc.service.refunds import have_sent

log = structlog.get_logger(__name__)


async def approve_refund(db: Database, wake: asyncio.Event, admin: Admin, refund_id: int) -> Refund:
    """Have a refund sent and return it; one that was approved before stays as it is.

    `wake` wakes the loop that sends. Raises RefundNotFound; RefundNotOpen for one that a person has settled, or has to.
    """
    async with db.transaction() as tx:
        order_id = await refunds.order_of(tx, refund_id)
        payment = None if order_id is None else await payments.lock_order(tx, external_id(order_id))
        if payment is None:
            raise RefundNotFound(refund_id)
        sent = await have_sent(tx, payment, refund_id, f"admin:{admin.user_id}", address=admin.address)
        refund = await refunds.by_id(tx, refund_id)
        if refund.status not in (RefundStatus.REQUESTED, RefundStatus.SUCCEEDED):
            raise RefundNotOpen(refund_id, refund.status)
    if sent:
        wake.set()
        log.info("refund approved", refund_id=refund_id, order_id=order_id, admin_id=admin.user_id)
    return refund

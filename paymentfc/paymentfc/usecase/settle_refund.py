"""An administrator says that money was given back by hand, for example by bank transfer."""

import structlog

from chassis.db.database import Database
from paymentfc.errors import RefundNotFound, RefundNotOpen
from paymentfc.model.payment import external_id
from paymentfc.model.refund import Refund, RefundStatus
from paymentfc.repository import anomalies, audit, payments, refunds
from paymentfc.repository.audit import Admin, AuditEvent
from paymentfc.service.refunds import facts

log = structlog.get_logger(__name__)


async def settle_refund(db: Database, admin: Admin, refund_id: int, note: str) -> Refund:
    """Mark a refund as settled and return it; a second note changes nothing. Raises RefundNotFound, RefundNotOpen."""
    async with db.transaction() as tx:
        order_id = await refunds.order_of(tx, refund_id)
        payment = None if order_id is None else await payments.lock_order(tx, external_id(order_id))
        if payment is None:
            raise RefundNotFound(refund_id)
        settled = await refunds.settle(tx, refund_id, note)
        if settled is None:
            refund = await refunds.by_id(tx, refund_id)
            if refund.status is not RefundStatus.SETTLED:
                raise RefundNotOpen(refund_id, refund.status)
            return refund
        actor = f"admin:{admin.user_id}"
        entry = {**facts(settled), "note": note, "address": admin.address}
        await audit.add(tx, AuditEvent.REFUND_SETTLED, payment, actor, **entry)
        if settled.source is not None:
            await anomalies.refunded(tx, payment.id, settled.source, note)
    log.info("refund settled", refund_id=refund_id, order_id=order_id, admin_id=admin.user_id)
    return settled

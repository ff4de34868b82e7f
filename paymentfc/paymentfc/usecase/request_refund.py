"""An administrator has money of a payment given back, all of it or a part."""

import hashlib
from decimal import Decimal

import structlog

from chassis.db.database import Database
from chassis.money import check_amount
from paymentfc.errors import KeyReused, NotRefundable, PaymentNotFound
from paymentfc.model.payment import external_id
from paymentfc.model.refund import Refund
from paymentfc.repository import audit, payments, refunds
from paymentfc.repository.audit import Admin, AuditEvent
from paymentfc.service.refunds import facts

log = structlog.get_logger(__name__)


async def request_refund(
    db: Database, admin: Admin, order_id: int, amount: Decimal | None, reason: str, key: str
) -> Refund:
    """Write a refund of `amount`, or of all that is left, and return it. The same key again returns the same refund.

    Raises PaymentNotFound; Invalid for an amount that the currency can't express; NotRefundable for more than was paid
    and is not given back; KeyReused for a key of another request.
    """
    request_hash = hashlib.sha256(repr((order_id, amount and amount.normalize(), reason)).encode()).digest()
    async with db.transaction() as tx:
        payment = await payments.lock_order(tx, external_id(order_id))
        if payment is None:
            raise PaymentNotFound(order_id)
        known = await refunds.of_key(tx, admin.user_id, key, request_hash)
        if known is not None:
            is_same, refund = known
            if not is_same:
                raise KeyReused
            return refund
        paid = payment.amount if payment.was_paid else Decimal(0)
        left = paid - await refunds.given_back(tx, payment.id)
        wanted = left if amount is None else check_amount(amount, payment.currency)
        if not 0 < wanted <= left:
            raise NotRefundable(order_id, left, payment.currency)
        asked = refunds.Request(admin.user_id, wanted, reason, key, request_hash)
        made = await refunds.request(tx, payment, asked)
        if made is None:
            raise KeyReused
        refund = made
        actor = f"admin:{admin.user_id}"
        await audit.add(tx, AuditEvent.REFUND_DUE, payment, actor, **facts(refund), address=admin.address)
    log.info("refund requested", refund_id=refund.id, order_id=order_id, admin_id=admin.user_id)
    return refund

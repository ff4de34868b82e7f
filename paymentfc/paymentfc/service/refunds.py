"""Writes down money that is to be given back, in the transaction that finds it."""

from chassis.db.database import Tx
from paymentfc.model.payment import Payment
from paymentfc.model.refund import TAKEN, Debt, Refund, RefundStatus
from paymentfc.repository import anomalies, audit, refund_work, refunds
from paymentfc.repository.audit import AuditEvent

GATEWAY = "xendit"


def facts(refund: Refund) -> dict[str, object]:
    """Return what the audit log says about a refund."""
    return {"refund_id": refund.id, "cause": refund.cause.value, "amount": refund.amount, "currency": refund.currency}


async def owe(tx: Tx, payment: Payment, debt: Debt, actor: str) -> bool:
    """Add the refund of money that was not owed, once. Of the payment's own money, only what no request gives back.

    The payment must be locked by this transaction.
    """
    if not debt.is_money:
        return False
    amount = debt.amount
    if debt.source == TAKEN:
        amount -= await refunds.given_back(tx, payment.id)
        if amount <= 0:
            return False
    refund = await refunds.owe(tx, payment, debt, amount)
    if refund is not None:
        await audit.add(tx, AuditEvent.REFUND_DUE, payment, actor, **facts(refund))
    return refund is not None


async def have_sent(tx: Tx, payment: Payment, refund_id: int, actor: str, **more: object) -> bool:
    """Have Xendit asked for the refund. Returns False if it is not due any more. The payment is locked."""
    if not await refund_work.request(tx, refund_id):
        return False
    refund = await refunds.by_id(tx, refund_id)
    await audit.add(tx, AuditEvent.REFUND_REQUESTED, payment, actor, **facts(refund), **more)
    return True


async def finish(
    tx: Tx, payment: Payment, refund: Refund, status: RefundStatus, code: str | None, gateway_id: str | None
) -> bool:
    """Store how a refund ended at Xendit. Returns False if that is stored already. The payment is locked."""
    if not await refund_work.finish(tx, refund, status, code, gateway_id):
        return False
    known = {"gateway_id": gateway_id or refund.gateway_id}
    if status is RefundStatus.SUCCEEDED:
        await audit.add(tx, AuditEvent.REFUND_SUCCEEDED, payment, GATEWAY, **facts(refund), **known)
        if refund.source is not None:
            await anomalies.refunded(tx, payment.id, refund.source, f"given back by {refund.reference}")
    else:
        failure = {"status": status.value, "failure_code": code}
        await audit.add(tx, AuditEvent.REFUND_FAILED, payment, GATEWAY, **facts(refund), **known, **failure)
    return True

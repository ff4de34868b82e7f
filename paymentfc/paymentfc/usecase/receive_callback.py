"""Receives one callback of Xendit: stored and applied in one transaction, or stored until its payment exists."""

import structlog

from chassis.db.database import Database
from chassis.failpoint import failpoint
from paymentfc.model.callback import Anomaly, AnomalyKind, Callback, Outcome
from paymentfc.repository import callbacks, payments
from paymentfc.service.settlement import apply_callback, record

log = structlog.get_logger(__name__)

ACTOR = "xendit"


async def receive_callback(db: Database, callback: Callback, body: str, webhook_id: str | None) -> Outcome:
    """Make the callback and all its effects durable; a repeated callback changes nothing."""
    async with db.transaction() as tx:
        payment = await payments.lock_order(tx, callback.external_id)
        stored = await callbacks.add(tx, callback, body, webhook_id)
        if stored is None:
            return Outcome.NOTHING
        if payment is None:
            unknown = Anomaly(AnomalyKind.UNKNOWN_INVOICE, "an order of ours", callback.external_id)
            await record(tx, unknown, callback, None, ACTOR)
            return Outcome.WAITING
        applied = await apply_callback(tx, payment, callback, ACTOR)
        await callbacks.set_outcome(tx, stored, applied.outcome)
        await tx.publish(*applied.events)
        await failpoint("paymentfc.before_commit")
    log.info("callback received", order_id=payment.order_id, outcome=applied.outcome, status=callback.status)
    return applied.outcome

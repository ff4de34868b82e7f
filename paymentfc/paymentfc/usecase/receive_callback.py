"""Receives one callback of Xendit: stored and applied, or kept until its payment appears, in one transaction."""

import structlog

from chassis.db.database import Database
from chassis.failpoint import failpoint
from paymentfc.model.callback import Anomaly, AnomalyKind, Callback, Outcome
from paymentfc.repository import callbacks, payments
from paymentfc.service.settlement import record, settle

log = structlog.get_logger(__name__)

ACTOR = "xendit"


class ReceiveCallback:
    """The webhook's action."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def __call__(self, callback: Callback, body: str, webhook_id: str | None) -> Outcome:
        """Make the callback durable with everything that follows from it; repeats change nothing."""
        async with self._db.transaction() as tx:
            payment = await payments.lock_order(tx, callback.external_id)
            stored = await callbacks.add(tx, callback, body, webhook_id)
            if stored is None:
                return Outcome.NOTHING
            if payment is None:
                unknown = Anomaly(AnomalyKind.UNKNOWN_INVOICE, "an order of ours", callback.external_id)
                await record(tx, unknown, callback, None, ACTOR)
                return Outcome.WAITING
            settled = await settle(tx, payment, callback, ACTOR)
            await callbacks.settle(tx, stored, settled.outcome)
            await tx.publish(*settled.events)
            await failpoint("paymentfc.before_commit")
        log.info("callback received", order_id=payment.order_id, outcome=settled.outcome, status=callback.status)
        return settled.outcome

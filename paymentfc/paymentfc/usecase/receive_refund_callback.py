"""Receives a refund callback of Xendit: stored, and the refund is read at Xendit, whose own word alone ends it."""

import structlog

from chassis.db.database import Database
from paymentfc.model.refund import RefundCallback
from paymentfc.repository import refund_work

log = structlog.get_logger(__name__)


async def receive_refund_callback(db: Database, callback: RefundCallback, body: str, webhook_id: str | None) -> bool:
    """Store a callback and make its refund due; False when it names none that waits for Xendit."""
    async with db.transaction() as tx:
        await refund_work.add_callback(tx, callback, body, webhook_id)
        refund_id = callback.refund_id
        found = refund_id is not None and await refund_work.look_now(tx, refund_id)
    log.info("refund callback received", refund_id=refund_id, status=callback.status, awaited=found)
    return found

"""Receives a refund callback of Xendit: stores it and has the refund read at Xendit, whose answer alone ends it."""

import structlog

from chassis.db.database import Database
from paymentfc.model.refund import RefundCallback, RefundStatus
from paymentfc.repository import refund_work

log = structlog.get_logger(__name__)


async def receive_refund_callback(db: Database, callback: RefundCallback, body: str, webhook_id: str | None) -> bool:
    """Store a callback and make its refund due. Returns False if the callback names no refund that waits for Xendit."""
    status = None
    async with db.transaction() as tx:
        await refund_work.add_callback(tx, callback, body, webhook_id)
        refund_id = callback.refund_id
        found = refund_id is not None and await refund_work.look_now(tx, refund_id)
        if refund_id is not None and not found:
            status = await refund_work.status_of(tx, refund_id)
    log.info("refund callback received", refund_id=refund_id, status=callback.status, awaited=found)
    if callback.status == "SUCCEEDED" and status not in (None, RefundStatus.SUCCEEDED):
        # A person may be about to give the same money back, or has done so.
        log.warning("refund given back without being awaited", refund_id=refund_id, status=status)
    return found

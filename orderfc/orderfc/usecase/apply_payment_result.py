"""payment.success and payment.failed: complete, cancel or fail the order, and return its stock."""

from datetime import UTC, datetime

import structlog

from chassis.db.database import Database, Tx
from chassis.db.inbox import first_time
from chassis.errors import InvalidMessage
from chassis.events import Event, Message
from orderfc import events
from orderfc.config import Settings
from orderfc.model import Cause
from orderfc.repository import orders
from orderfc.service.orders import apply_cause

log = structlog.get_logger(__name__)

EXPECTED = {
    events.PAYMENT_SUCCESS: (Cause.PAID, frozenset({"PAID"})),
    events.PAYMENT_FAILED: (Cause.PAYMENT_FAILED, frozenset({"FAILED", "EXPIRED"})),
}


async def apply_payment_result(db: Database, message: Message, result: events.PaymentResult) -> None:
    """Apply the result of a payment to its order, once.

    Raises InvalidMessage (`status_mismatch`) for a status of another topic, NotYet for an unknown order.
    """
    cause, statuses = EXPECTED[message.topic]
    if result.status not in statuses:
        raise InvalidMessage("status_mismatch", f"status {result.status!r} does not belong on {message.topic}")
    async with db.transaction() as tx:
        if not await first_time(tx, Settings.service, message):
            return
        change = await apply_cause(tx, result.order_id, cause)
        if change.publish_rollback:
            await _publish_rollback(tx, result.order_id)
    log.info("payment result applied", cause=cause, status=change.status.wire if change.status else "unchanged")


async def _publish_rollback(tx: Tx, order_id: int) -> None:
    payload = events.StockRollback(
        order_id=order_id,
        products=[
            events.StockQuantity(product_id=product_id, quantity=quantity)
            for product_id, quantity in await orders.quantities(tx, order_id)
        ],
        event_time=datetime.now(UTC),
    )
    await tx.publish(Event.of(events.STOCK_ROLLBACK, events.order_key(order_id), payload))

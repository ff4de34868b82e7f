"""payment.success and payment.failed: complete, cancel or fail the order, and return its stock."""

from collections.abc import Sequence
from datetime import UTC, datetime

from chassis.db.database import Database
from chassis.db.inbox import first_times
from chassis.errors import InvalidMessage
from chassis.events import Event, Message
from chassis.message_scope import log_applied, message_scope
from orderfc import events
from orderfc.config import Settings
from orderfc.model import Cause
from orderfc.repository import orders
from orderfc.service.orders import apply_cause

EXPECTED = {
    events.PAYMENT_SUCCESS: (Cause.PAID, frozenset({"PAID"})),
    events.PAYMENT_FAILED: (Cause.PAYMENT_FAILED, frozenset({"FAILED", "EXPIRED"})),
}


async def apply_payment_result(db: Database, run: Sequence[tuple[Message, events.PaymentResult]]) -> None:
    """Apply the results of payments, all of one topic, to their orders: each once, in their order.

    Raises InvalidMessage (`status_mismatch`) for a status of another topic, NotYet for an unknown order.
    """
    topic = run[0][0].topic
    cause, statuses = EXPECTED[topic]
    for _, result in run:
        if result.status not in statuses:
            raise InvalidMessage("status_mismatch", f"status {result.status!r} does not belong on {topic}")
    async with db.transaction() as tx:
        new, _ = await first_times(
            tx, Settings.service, [(message.identity, (message, result)) for message, result in run]
        )
        changes = await apply_cause(tx, [result.order_id for _, result in new], cause)
        cancelled = [
            (message, result.order_id)
            for (message, result), change in zip(new, changes, strict=True)
            if change.publish_rollback
        ]
        if cancelled:
            lines = await orders.quantities(tx, [order_id for _, order_id in cancelled])
            await tx.publish(*[_rollback(message, order_id, lines[order_id]) for message, order_id in cancelled])
    for (message, result), change in zip(new, changes, strict=True):
        status = change.status.wire if change.status else "unchanged"
        log_applied(__name__, "payment result applied", message, order_id=result.order_id, cause=cause, status=status)


def _rollback(message: Message, order_id: int, lines: Sequence[tuple[int, int]]) -> Event:
    payload = events.StockRollback(
        order_id=order_id,
        products=[events.StockQuantity(product_id=product_id, quantity=quantity) for product_id, quantity in lines],
        event_time=datetime.now(UTC),
    )
    with message_scope(message):
        return Event.of(events.STOCK_ROLLBACK, events.order_key(order_id), payload)

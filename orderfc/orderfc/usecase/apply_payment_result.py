"""payment.success and payment.failed: complete, cancel or fail the order, and return its stock."""

from collections.abc import Sequence

from chassis.db.database import Database, Tx
from chassis.errors import InvalidMessage
from chassis.events import Event, Message
from chassis.message_scope import log_applied, message_scope
from orderfc import events
from orderfc.config import Settings
from orderfc.model import Cause, Transition, may_return_stock
from orderfc.repository import orders, transitions
from orderfc.service import measures
from orderfc.service.orders import changes_of

EXPECTED = {
    events.PAYMENT_SUCCESS: (Cause.PAID, frozenset({"PAID"})),
    events.PAYMENT_FAILED: (Cause.PAYMENT_FAILED, frozenset({"FAILED", "EXPIRED"})),
}
# Messages with the orders that they name.
Named = Sequence[tuple[Message, int]]


async def apply_payment_result(db: Database, run: Sequence[tuple[Message, events.PaymentResult]]) -> None:
    """Apply the results of payments, all of one topic, to their orders: each once, in their order.

    Raises InvalidMessage (`status_mismatch`) for a status of another topic, NotYet for an unknown order.
    """
    topic = run[0][0].topic
    cause, statuses = EXPECTED[topic]
    for _, result in run:
        if result.status not in statuses:
            raise InvalidMessage("status_mismatch", f"status {result.status!r} does not belong on {topic}")
    named = [(message, result.order_id) for message, result in run]
    for (message, order_id), change in zip(named, await _apply(db, named, cause), strict=True):
        if change is not None:
            status = change.status.wire if change.status else "unchanged"
            log_applied(__name__, "payment result applied", message, order_id=order_id, cause=cause, status=status)


async def _apply(db: Database, named: Named, cause: Cause) -> list[Transition | None]:
    incoming = [(message.identity, order_id) for message, order_id in named]
    if not may_return_stock(cause):
        # Nothing is published: the statement is the transaction.
        applied = await transitions.apply(db, Settings.service, incoming, cause)
        changes = changes_of(incoming, applied, cause)
    else:
        async with db.transaction() as tx:
            applied = await transitions.apply_in(tx, Settings.service, incoming, cause)
            changes = changes_of(incoming, applied, cause)
            await _return_stock(tx, [one for one, change in zip(named, changes, strict=True) if _returns_stock(change)])
    measures.moved(applied.moved, cause)
    return changes


def _returns_stock(change: Transition | None) -> bool:
    return change is not None and change.publish_rollback


async def _return_stock(tx: Tx, ended: Named) -> None:
    if not ended:
        return
    lines = await orders.quantities(tx, [order_id for _, order_id in ended])
    await tx.publish(*[_rollback(message, order_id, lines[order_id]) for message, order_id in ended])


def _rollback(message: Message, order_id: int, lines: Sequence[tuple[int, int]]) -> Event:
    with message_scope(message):
        return events.rollback(order_id, lines)

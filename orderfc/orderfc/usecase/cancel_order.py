"""A customer or an administrator cancels an order that is not paid: its stock is returned, its payment closed."""

from chassis import logging
from chassis.db.database import Database
from orderfc import events
from orderfc.errors import OrderNotFound
from orderfc.model import Cause, Status, cancel
from orderfc.repository import orders, transitions
from orderfc.service import measures


async def cancel_order(db: Database, order_id: int, owner: int | None, reason: str, *, by: int) -> str:
    """Cancel an order and return it as the JSON text of its answer; nothing changes for one that is cancelled already.

    `owner` None is an administrator. Raises OrderNotFound, also for another user's; NotCancellable when it is paid.
    """
    moved: list[tuple[Status, float]] = []
    async with db.transaction() as tx:
        status = await transitions.lock(tx, order_id, owner)
        if status is None:
            raise OrderNotFound(order_id)
        change = cancel(order_id, status)
        if change.status is not None:
            moved = await transitions.change(tx, order_id, status, change.status, Cause.CUSTOMER)
            lines = await orders.quantities(tx, [order_id])
            await tx.publish(events.rollback(order_id, lines[order_id]), events.cancelled(order_id, reason))
        view = await orders.view_in(tx, order_id)
    if moved:
        measures.moved(moved, Cause.CUSTOMER)
        logging.log_line(__name__, "order cancelled", order_id=order_id, user_id=by)
    return view

"""stock.rejected: cancel the order, or fail it when it is paid. No stock was taken, so none is returned."""

from collections.abc import Sequence

from chassis.db.database import Database
from chassis.db.inbox import first_times
from chassis.events import Message
from chassis.message_scope import log_applied
from orderfc.config import Settings
from orderfc.events import StockRejected
from orderfc.model import Cause
from orderfc.service.orders import apply_cause


async def apply_stock_rejected(db: Database, run: Sequence[tuple[Message, StockRejected]]) -> None:
    """Apply rejections to their orders: each once, in their order. Raises NotYet for an unknown order."""
    async with db.transaction() as tx:
        new, _ = await first_times(
            tx, Settings.service, [(message.identity, (message, rejected)) for message, rejected in run]
        )
        changes = await apply_cause(tx, [rejected.order_id for _, rejected in new], Cause.STOCK_REJECTED)
    for (message, rejected), change in zip(new, changes, strict=True):
        status = change.status.wire if change.status else "unchanged"
        log_applied(__name__, "stock rejection applied", message, order_id=rejected.order_id, status=status)

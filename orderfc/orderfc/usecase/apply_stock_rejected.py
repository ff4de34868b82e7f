"""stock.rejected: cancel the order, or fail it when it is paid. No stock was taken, so none is returned."""

import structlog

from chassis.db.database import Database
from chassis.db.inbox import first_time
from chassis.events import Message
from orderfc.config import Settings
from orderfc.events import StockRejected
from orderfc.model import Cause
from orderfc.service.orders import apply_cause

log = structlog.get_logger(__name__)


async def apply_stock_rejected(db: Database, message: Message, rejected: StockRejected) -> None:
    """Apply the rejection to its order, once. Raises NotYet for an unknown order."""
    async with db.transaction() as tx:
        if not await first_time(tx, Settings.service, message):
            return
        change = await apply_cause(tx, rejected.order_id, Cause.STOCK_REJECTED)
    log.info("stock rejection applied", status=change.status.wire if change.status else "unchanged")

"""stock.rejected: cancel the order, or fail it when it is paid. No stock was taken, so none is returned."""

from collections.abc import Sequence

from chassis.db.database import Database
from chassis.events import Message
from chassis.message_scope import log_applied
from orderfc.config import Settings
from orderfc.events import StockRejected
from orderfc.model import Cause
from orderfc.repository import transitions
from orderfc.service import measures
from orderfc.service.orders import changes_of

CAUSE = Cause.STOCK_REJECTED


async def apply_stock_rejected(db: Database, run: Sequence[tuple[Message, StockRejected]]) -> None:
    """Apply rejections to their orders: each once, in their order. Raises NotYet for an unknown order."""
    incoming = [(message.identity, rejected.order_id) for message, rejected in run]
    applied = await transitions.apply(db, Settings.service, incoming, CAUSE)
    changes = changes_of(incoming, applied, CAUSE)
    measures.moved(applied.moved, CAUSE)
    for (message, rejected), change in zip(run, changes, strict=True):
        if change is not None:
            status = change.status.wire if change.status else "unchanged"
            log_applied(__name__, "stock rejection applied", message, order_id=rejected.order_id, status=status)

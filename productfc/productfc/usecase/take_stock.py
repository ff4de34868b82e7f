"""Applies stock.updated: takes the order's products from stock, all or nothing, or publishes stock.rejected."""

from datetime import UTC, datetime

import structlog
from prometheus_client import Counter

from chassis.db.database import Database
from chassis.db.inbox import first_time
from chassis.events import Event, Message
from productfc.config import Settings
from productfc.events import STOCK_REJECTED, RejectedLine, StockRejected, StockUpdated, order_key
from productfc.model import Line, merge
from productfc.repository.cache import ProductCache
from productfc.service.stock import take

log = structlog.get_logger(__name__)

TAKES = Counter("stock_takes_total", "Stock events applied by outcome", ["outcome"])


async def take_stock(db: Database, cache: ProductCache, message: Message, update: StockUpdated) -> None:
    """Apply the message once. An order that has ledger rows, even tombstones, takes nothing."""
    lines = merge(line.line() for line in update.products)
    async with cache.invalidation(unless_down=True) as changed, db.transaction() as tx:
        if not await first_time(tx, Settings.service, message):
            # The process that applied it may have been killed before it invalidated.
            changed.update(line.product_id for line in lines)
            return
        decision = await take(tx, update.order_id, lines, message.identity)
        changed.update(decision.changes)
        if decision.refusal is not None:
            await tx.publish(_rejected(update.order_id, lines, decision.refusal))
    outcome = "rejected" if decision.refusal else "taken" if decision.changes else "unchanged"
    TAKES.labels(outcome).inc()
    log.info("stock update applied", outcome=outcome, reason=decision.refusal)


def _rejected(order_id: int, lines: list[Line], reason: str) -> Event:
    products = [RejectedLine(product_id=line.product_id, quantity=line.quantity) for line in lines]
    payload = StockRejected(order_id=order_id, products=products, reason=reason, event_time=datetime.now(UTC))
    return Event.of(STOCK_REJECTED, order_key(order_id), payload)

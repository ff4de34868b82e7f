"""Applies stock.rollback: returns to stock exactly what the order holds."""

import structlog
from prometheus_client import Counter

from chassis.db.database import Database
from chassis.db.inbox import first_time
from chassis.events import Message
from productfc.config import Settings
from productfc.events import StockRollback
from productfc.model import merge
from productfc.repository import stock
from productfc.repository.cache import ProductCache
from productfc.service.stock import give_back

log = structlog.get_logger(__name__)

RETURNS = Counter("stock_returns_total", "Rollbacks applied by outcome", ["outcome"])


async def return_stock(db: Database, cache: ProductCache, message: Message, rollback: StockRollback) -> None:
    """Apply the message once, also to archived products. Before its stock.updated it leaves tombstones."""
    lines = merge(line.line() for line in rollback.products)
    async with cache.invalidation(unless_down=True) as changed, db.transaction() as tx:
        if not await first_time(tx, Settings.service, message):
            # The process that applied it may have been killed before it invalidated.
            changed.update(await stock.product_ids(tx, rollback.order_id))
            return
        decision = await give_back(tx, rollback.order_id, lines, message.identity)
        changed.update(decision.changes)
    outcome = "released" if decision.changes else "tombstone" if decision.entries else "unchanged"
    RETURNS.labels(outcome).inc()
    log.info("stock rollback applied", outcome=outcome)

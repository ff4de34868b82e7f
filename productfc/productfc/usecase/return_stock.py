"""Applies stock.rollback: returns to stock exactly what the order holds."""

from collections.abc import Sequence

from prometheus_client import Counter

from chassis.db.database import Database
from chassis.db.inbox import first_times
from chassis.events import Message
from chassis.message_scope import log_applied
from productfc.config import Settings
from productfc.events import StockRollback, claim_of
from productfc.repository import stock
from productfc.repository.cache import ProductCache
from productfc.service.stock import give_back

RETURNS = Counter("gocommerce_stock_returns_total", "Rollbacks applied by outcome", ["outcome"])


async def return_stock(db: Database, cache: ProductCache, run: Sequence[tuple[Message, StockRollback]]) -> None:
    """Apply each message once, in their order, also to archived products. Before stock.updated it leaves tombstones."""
    claims = [(message, claim_of(message, rollback)) for message, rollback in run]
    identified = [(claim.event_id, (message, claim)) for message, claim in claims]
    async with cache.invalidation(unless_down=True) as changed, db.transaction() as tx:
        new, repeated = await first_times(tx, Settings.service, identified)
        decisions = await give_back(tx, [claim for _, claim in new])
        # The process that applied the repeated ones may have been killed before it invalidated.
        held = await stock.product_ids(tx, [claim.order_id for _, claim in repeated])
        changed.update(held, (product_id for decision in decisions for product_id in decision.changes))
    for (message, claim), decision in zip(new, decisions, strict=True):
        outcome = "released" if decision.changes else "tombstone" if decision.entries else "unchanged"
        RETURNS.labels(outcome).inc()
        log_applied(__name__, "stock rollback applied", message, order_id=claim.order_id, outcome=outcome)

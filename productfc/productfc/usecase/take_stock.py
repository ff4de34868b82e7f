"""Applies stock.updated: takes the order's products from stock, all or nothing, or publishes stock.rejected."""

from collections.abc import Sequence

from prometheus_client import Counter

from chassis import clock
from chassis.db.database import Database
from chassis.db.inbox import first_times
from chassis.events import Event, Message
from chassis.message_scope import log_applied, message_scope
from productfc.config import Settings
from productfc.events import STOCK_REJECTED, RejectedLine, StockRejected, StockUpdated, claim_of, order_key
from productfc.model import Claim
from productfc.repository.cache import ProductCache
from productfc.service.stock import take

TAKES = Counter("gocommerce_stock_takes_total", "Stock events applied by outcome", ["outcome"])


async def take_stock(db: Database, cache: ProductCache, run: Sequence[tuple[Message, StockUpdated]]) -> None:
    """Apply each message once, in their order. An order that has ledger rows, even tombstones, takes nothing."""
    claims = [(message, claim_of(message, update)) for message, update in run]
    identified = [(claim.event_id, (message, claim)) for message, claim in claims]
    async with cache.invalidation(unless_down=True) as changed, db.transaction() as tx:
        new, repeated = await first_times(tx, Settings.service, identified)
        decisions = await take(tx, [claim for _, claim in new])
        applied = [(message, claim, decision) for (message, claim), decision in zip(new, decisions, strict=True)]
        refused = [(message, claim, decision.refusal) for message, claim, decision in applied if decision.refusal]
        await tx.publish(*[_rejected(message, claim, reason) for message, claim, reason in refused])
        changed.update(product_id for decision in decisions for product_id in decision.changes)
        # The process that applied them may have been killed before it invalidated.
        changed.update(line.product_id for _, claim in repeated for line in claim.lines)
    for message, claim, decision in applied:
        outcome = "rejected" if decision.refusal else "taken" if decision.changes else "unchanged"
        TAKES.labels(outcome).inc()
        fields = {"order_id": claim.order_id, "outcome": outcome, "reason": decision.refusal}
        log_applied(__name__, "stock update applied", message, **fields)


def _rejected(message: Message, claim: Claim, reason: str) -> Event:
    products = [RejectedLine(product_id=line.product_id, quantity=line.quantity) for line in claim.lines]
    payload = StockRejected(order_id=claim.order_id, products=products, reason=reason, event_time=clock.now())
    with message_scope(message):
        return Event.of(STOCK_REJECTED, order_key(claim.order_id), payload)

"""The rule of the stock ledger applied: load the order's rows locked, decide, save."""

from collections.abc import Sequence
from uuid import UUID

from chassis.db.database import Tx
from productfc.model import Decision, Line, decide_return, decide_take
from productfc.repository import stock


async def take(tx: Tx, order_id: int, wanted: Sequence[Line], event_id: UUID) -> Decision:
    """Take merged lines for an order, all or nothing, unless the ledger knows the order already."""
    await stock.lock_order(tx, order_id)
    ledger, free = await stock.load_for_take(tx, order_id, [line.product_id for line in wanted])
    decision = decide_take(ledger, wanted, free)
    if decision.entries:
        await stock.save(tx, order_id, event_id, decision)
    return decision


async def give_back(tx: Tx, order_id: int, named: Sequence[Line], event_id: UUID) -> Decision:
    """Give back what the order holds; an order that is not known yet will never take anything."""
    await stock.lock_order(tx, order_id)
    ledger = await stock.load_for_return(tx, order_id)
    decision = decide_return(ledger, named)
    if decision.entries:
        await stock.save(tx, order_id, event_id, decision)
    return decision

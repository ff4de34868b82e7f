"""The rules of the stock ledger: load the order's rows locked, decide, save."""

from collections.abc import Sequence
from uuid import UUID

from chassis.db.database import Tx
from productfc.model import Decision, Line, decide_return, decide_take
from productfc.repository import stock


async def take(tx: Tx, order_id: int, lines: Sequence[Line], event_id: UUID) -> Decision:
    """Take merged lines for an order, all or nothing. An order that has ledger rows takes nothing."""
    await stock.lock_order(tx, order_id)
    ledger, free = await stock.load_for_take(tx, order_id, [line.product_id for line in lines])
    decision = decide_take(ledger, lines, free)
    if decision.entries:
        await stock.save(tx, order_id, event_id, decision)
    return decision


async def give_back(tx: Tx, order_id: int, lines: Sequence[Line], event_id: UUID) -> Decision:
    """Return what the order holds to stock. An order without ledger rows can never take anything afterwards."""
    await stock.lock_order(tx, order_id)
    ledger = await stock.load_for_return(tx, order_id)
    decision = decide_return(ledger, lines)
    if decision.entries:
        await stock.save(tx, order_id, event_id, decision)
    return decision

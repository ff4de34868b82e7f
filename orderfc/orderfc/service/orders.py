"""The rule of one order: load it locked, decide by the transition table, save it guarded."""

from chassis.db.database import Tx
from chassis.errors import NotYet
from orderfc.model import Cause, Transition, may_become, transition
from orderfc.repository import orders


async def apply_cause(tx: Tx, order_id: int, cause: Cause) -> Transition:
    """Apply a cause to an order and return the transition.

    Raises NotYet for an order that is not stored yet.
    """
    status = await orders.locked_status(tx, order_id)
    if status is None:
        raise NotYet(f"order {order_id} is not known")
    change = transition(status, cause)
    if change.status is None:
        return change
    if not await orders.change_status(tx, order_id, change.status, may_become(change.status), cause):
        raise RuntimeError(f"order {order_id} left status {status.wire} while it was locked")
    return change

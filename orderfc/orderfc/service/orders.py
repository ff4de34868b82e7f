"""The rule of orders: load them locked, decide by the transition table one after the other, save them guarded."""

from collections.abc import Sequence

from chassis.db.database import Tx
from chassis.errors import NotYet
from orderfc.model import Cause, Status, Transition, may_become, transition
from orderfc.repository import orders


async def apply_cause(tx: Tx, order_ids: Sequence[int], cause: Cause) -> list[Transition]:
    """Apply a cause to orders and return the transition of each; an order that is named again is unchanged then.

    Raises NotYet for an order that is not stored yet.
    """
    if not order_ids:
        return []
    statuses = await orders.locked_statuses(tx, order_ids)
    changes: list[Transition] = []
    moved: dict[Status, list[int]] = {}
    for order_id in order_ids:
        if order_id not in statuses:
            raise NotYet(f"order {order_id} is not known")
        change = transition(statuses[order_id], cause)
        if change.status is not None:
            statuses[order_id] = change.status
            moved.setdefault(change.status, []).append(order_id)
        changes.append(change)
    for status, ids in moved.items():
        if await orders.change_status(tx, ids, status, may_become(status), cause) != set(ids):
            raise RuntimeError(f"an order of {ids} changed its status while it was locked")
    return changes

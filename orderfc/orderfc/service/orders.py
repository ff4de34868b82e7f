"""The rule of orders: applies the transition table to the events of a run, one after the other."""

from collections.abc import Sequence
from uuid import UUID

from chassis.errors import NotYet
from orderfc.model import Cause, Transition, transition
from orderfc.repository.transitions import Applied


def changes_of(events: Sequence[tuple[UUID, int]], applied: Applied, cause: Cause) -> list[Transition | None]:
    """Return the transition of each (identity, order id) pair, None for an event that was applied before.

    An order that is named again is unchanged then. Raises NotYet for an order that is not stored yet.
    """
    if applied.unknown:
        raise NotYet(f"order {applied.unknown[0]} is not known")
    new, statuses = set(applied.received), dict(applied.statuses)
    changes: list[Transition | None] = []
    for event_id, order_id in events:
        if event_id not in new:
            changes.append(None)
            continue
        new.discard(event_id)
        change = transition(statuses[order_id], cause)
        if change.status is not None:
            statuses[order_id] = change.status
        changes.append(change)
    return changes

"""Why orders wait: the step, the time since when, the cause, the next try, and what to do. Pure functions."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from console.model.keys import order_in
from console.model.payment_waits import answer, payment_side, unpaid
from console.model.steps import STEP_OF_CONSUMER, Step
from console.model.unfinished import Unfinished
from console.model.wait import Wait, place, urgency

# Younger orders are still being processed.
SETTLED_S = 1.0


def waits(unfinished: Unfinished, older_than_s: float) -> list[Wait]:
    """Return one wait per order, if older than `older_than_s`: problems first, then unpaid orders, oldest first."""
    first: dict[int, Wait] = {}
    unnamed = []
    for wait in all_waits(unfinished, older_than_s):
        if wait.order_id is None:
            unnamed.append(wait)
        elif wait.order_id not in first or urgency(wait) < urgency(first[wait.order_id]):
            first[wait.order_id] = wait
    return sorted([*unnamed, *first.values()], key=place)


def all_waits(unfinished: Unfinished, older_than_s: float) -> list[Wait]:
    """Return all that is waited for, the most urgent first."""
    limit = unfinished.now - timedelta(seconds=older_than_s)
    found = {
        replace(wait, age_s=max((unfinished.now - wait.since).total_seconds(), 0.0))
        for wait in _all(unfinished)
        if wait.since <= limit
    }
    return sorted(found, key=urgency)


def _all(unfinished: Unfinished) -> Iterator[Wait]:
    yield from _letters(unfinished)
    yield from _events(unfinished)
    yield from payment_side(unfinished)
    on_its_way = {order_in(row["key"]) for _, row in unfinished.unsent}
    on_its_way |= {order_in(row["key"]) for row, _ in unfinished.unapplied}
    on_its_way |= {letter.order_id for letter in unfinished.letters}
    for order_id in unfinished.payments:
        yield from _order(unfinished, order_id, explained=order_id in on_its_way)


def _letters(unfinished: Unfinished) -> Iterator[Wait]:
    for letter in unfinished.letters:
        verb = "discard" if letter.refusal() else "replay"
        act = f"fc dlq show {letter.topic} {letter.place}; then fc dlq {verb}"
        cause = f"{letter.topic} could not be applied by {letter.consumer or 'its consumer'} ({letter.reason})"
        since = letter.time + unfinished.ahead
        yield Wait(letter.order_id, Step.DEAD_LETTER, since, cause, f"dead letter {letter.place}", act)


def _events(unfinished: Unfinished) -> Iterator[Wait]:
    for service, row in unfinished.unsent:
        due = row["next_attempt_at"]
        backs_off = due is not None and due > unfinished.now
        act = f"fc outbox retry --service {service} --id {row['id']}" if backs_off else f"fc logs {service}"
        cause = f"{row['topic']} is in the outbox of {service}{answer(row['last_error'])}"
        yield Wait(
            order_in(row["key"]),
            Step.OUTBOX,
            row["created_at"],
            cause,
            f"{row['attempts']} tries" + (", parked" if row["parked_at"] else ""),
            f"fc status; {act}",
            due if backs_off else None,
        )
    for row, service in unfinished.unapplied:
        cause = f"{row['topic']} was published and {service} has not applied it"
        act = f"fc status; fc logs {service}"
        yield Wait(order_in(row["key"]), STEP_OF_CONSUMER[service], row["published_at"], cause, "", act)


def _order(unfinished: Unfinished, order_id: int, *, explained: bool) -> Iterator[Wait]:
    """Yield what an order waits for by its payment; `explained`: by an event that is on its way, too."""
    payment, created = unfinished.payments[order_id], unfinished.orders.get(order_id)
    if payment is not None and payment["status"] == "PENDING":
        yield unpaid(unfinished, order_id, payment)
    elif created is not None and not explained and payment is None:
        act = "fc status; fc logs paymentfc; fc audit"
        yield Wait(order_id, Step.PAYMENT, created, "paymentfc has no payment for order.created", "", act)
    elif created is not None and not explained and payment is not None:
        cause = f"the payment is {payment['status']} and orderfc has not applied it"
        yield Wait(order_id, Step.UNKNOWN, payment["update_time"], cause, "", "fc audit")

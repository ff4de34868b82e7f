"""Rules about an order in its own database: amounts, lines, history, customer, idempotency key."""

from collections.abc import Iterator
from decimal import Decimal

from fc.audit.model import Dossier, Step
from fc.audit.rules.combinations import CREATED, STATUS_NAMES, STEPS
from fc.audit.rules.rule import Context, Fault, rule


@rule("order_total", "An order's total is the sum of its lines.")
def total(dossier: Dossier, _: Context) -> Iterator[Fault]:
    for order in dossier.orders:
        expected = sum((line.price * line.quantity for line in dossier.lines), Decimal(0))
        if expected != order.total_amount:
            yield Fault(expected, order.total_amount, order.created_at)


@rule("order_quantity", "An order's number of pieces is the sum of its lines.")
def quantity(dossier: Dossier, _: Context) -> Iterator[Fault]:
    for order in dossier.orders:
        expected = sum(line.quantity for line in dossier.lines)
        if expected != order.total_qty:
            yield Fault(expected, order.total_qty, order.created_at)


@rule("order_history", "An order's history starts with created, takes allowed steps only, and time goes forward.")
def history(dossier: Dossier, _: Context) -> Iterator[Fault]:
    if dossier.order and not dossier.history:
        yield Fault("a step created", "no history", dossier.order.created_at)
    before: Step | None = None
    for step in dossier.history:
        if before is None:
            if (step.status, step.cause) != (CREATED, "checkout"):
                yield Fault("created by checkout", _name(step), step.created_at)
        elif (before.status, step.status, step.cause) not in STEPS:
            yield Fault(f"an allowed step after {_name(before)}", _name(step), step.created_at)
        elif step.created_at < before.created_at:
            yield Fault(f"after {before.created_at.isoformat()}", step.created_at.isoformat(), step.created_at)
        before = step


@rule("order_status", "An order's status is the last one of its history.")
def status(dossier: Dossier, _: Context) -> Iterator[Fault]:
    for order in dossier.orders:
        if dossier.history and dossier.history[-1].status != order.status:
            last = dossier.history[-1]
            yield Fault(STATUS_NAMES[last.status], STATUS_NAMES[order.status], max(order.updated_at, last.created_at))


@rule("order_user", "An order's customer exists in userfc.")
def user(dossier: Dossier, context: Context) -> Iterator[Fault]:
    for order in dossier.orders:
        if order.user_id not in context.users:
            yield Fault("a user of userfc", f"user {order.user_id}", order.created_at)


@rule("idempotency_key", "A used idempotency key names an order of the same user, and no order has two keys.")
def idempotency_key(dossier: Dossier, _: Context) -> Iterator[Fault]:
    for key in dossier.keys:
        actual = f"key {key.key!r} of user {key.user_id}"
        if dossier.order is None:
            yield Fault("an order that exists", actual, key.created_at)
        elif key.user_id != dossier.order.user_id:
            yield Fault(f"a key of user {dossier.order.user_id}", actual, key.created_at)
    if len(dossier.keys) > 1:
        yield Fault("one key", f"{len(dossier.keys)} keys", max(key.created_at for key in dossier.keys))


def _name(step: Step) -> str:
    return f"{STATUS_NAMES[step.status]} by {step.cause}"

"""The table of combinations against the services' own rules: every arrival of every message, in every order."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fc.audit.rules.combinations import PASSING, SETTLED, STEPS, Pay, Stock, Triple
from orderfc.model import Cause, cancel, transition
from orderfc.model import Status as OrderStatus
from paymentfc.model.callback import Callback, Outcome, decide
from paymentfc.model.payment import Payment
from paymentfc.model.payment import Status as PaymentStatus
from productfc.model import Entry, Line, decide_return, decide_take

LINE = Line(1, 1)
STOCK = ("stock.updated", "stock.rollback")
CANCELLED = {
    Pay.MISSING: Pay.MISSING_CANCELLED,
    Pay.PENDING: Pay.PENDING_CANCELLED,
    Pay.PAID: Pay.PAID_CANCELLED,
}
CAUSES = {"payment.success": Cause.PAID, "payment.failed": Cause.PAYMENT_FAILED, "stock.rejected": Cause.STOCK_REJECTED}


@dataclass(frozen=True)
class World:
    """One order in three services, and the messages that are on their way: (topic, consumer)."""

    order: OrderStatus = OrderStatus.CREATED
    payment: Pay = Pay.MISSING
    ledger: tuple[Entry, ...] = ()
    buried: Pay | None = None
    cancelled: bool = False
    free: int = 0
    travelling: frozenset[tuple[str, str]] = frozenset({("order.created", "paymentfc"), ("stock.updated", "productfc")})

    @property
    def triple(self) -> Triple:
        """Return the combination as the auditor classifies it."""
        states = {Stock(entry.state) for entry in self.ledger} or {Stock.NONE}
        [state] = states
        pay = CANCELLED.get(self.payment, self.payment) if self.cancelled else self.payment
        return int(self.order), pay, state


def publish(world: World, *messages: tuple[str, str]) -> World:
    return replace(world, travelling=world.travelling | set(messages))


def close(world: World) -> World:
    """Close an open payment because it expired or was refused."""
    return publish(replace(world, payment=Pay.CLOSED), ("payment.failed", "orderfc"))


def cancelled(world: World) -> World:
    """Let the customer cancel, as orderfc does."""
    change = cancel(1, world.order)
    assert (change.status, change.publish_rollback) == (OrderStatus.CANCELLED, True)
    world = replace(world, order=OrderStatus.CANCELLED, cancelled=True)
    return publish(world, ("stock.rollback", "productfc"), ("order.cancelled", "paymentfc"))


def money(world: World) -> World | None:
    """Let money arrive, judged as paymentfc does."""
    status = {Pay.PENDING: "PENDING", Pay.PAID: "PAID"}.get(world.payment, "FAILED")
    outcome = decide(payment_in(status), Callback("i", "order-1", "PAID", Decimal(1), None, "IDR")).outcome
    after = {Pay.PENDING: Pay.PAID, Pay.CLOSED: Pay.CLOSED_LATE, Pay.REJECTED: Pay.REJECTED_LATE}
    if world.payment not in after or outcome not in (Outcome.PAID, Outcome.LATE):
        return None
    return publish(replace(world, payment=after[world.payment]), ("payment.success", "orderfc"))


def payment_in(status: str) -> Payment:
    now = datetime.now(UTC)
    nothing: dict[str, Any] = dict.fromkeys(
        ("user_email", "reason", "invoice_url", "expires_at", "paid_at", "late_paid_at", "traceparent")
    )
    return Payment(
        id=1,
        order_id=1,
        user_id=1,
        external_id="order-1",
        amount=Decimal(1),
        currency="IDR",
        status=PaymentStatus(status),
        invoice_id="i",
        receipt=None,
        retry_count=0,
        create_time=now,
        update_time=now,
        **nothing,
    )


def arrive(world: World, message: tuple[str, str]) -> World:
    """Apply a message as its consumer's own rules say."""
    topic, consumer = message
    world = replace(world, travelling=world.travelling - {message})
    if consumer == "productfc":
        return at_productfc(world, topic)
    if consumer == "orderfc":
        change = transition(world.order, CAUSES[topic])
        world = replace(world, order=change.status if change.status is not None else world.order)
        return publish(world, ("stock.rollback", "productfc")) if change.publish_rollback else world
    if topic == "order.created":
        return replace(world, payment=world.buried or Pay.PENDING)
    ended = Pay.REJECTED if topic == "stock.rejected" else Pay.CLOSED
    if world.payment is Pay.MISSING:
        return replace(world, buried=world.buried or ended)
    return replace(world, payment=ended) if world.payment is Pay.PENDING else world


def at_productfc(world: World, topic: str) -> World:
    if topic == "stock.updated":
        decision = decide_take(world.ledger, [LINE], {1: world.free})
        if decision.refusal:
            world = publish(world, ("stock.rejected", "orderfc"), ("stock.rejected", "paymentfc"))
    else:
        decision = decide_return(world.ledger, [LINE])
    return replace(world, ledger=tuple(decision.entries) or world.ledger)


def steps(world: World) -> Iterator[World]:
    for message in world.travelling:
        yield arrive(world, message)
    if world.payment is Pay.PENDING:
        yield close(world)
    if world.order is OrderStatus.CREATED:
        yield cancelled(world)
    if (paid := money(world)) is not None:
        yield paid


def reachable() -> set[World]:
    seen = {World(free=0), World(free=1)}
    queue = list(seen)
    while queue:
        new = set(steps(queue.pop())) - seen
        seen |= new
        queue += new
    return seen


def test_the_settled_combinations_are_exactly_those_in_which_an_order_can_rest() -> None:
    assert {world.triple for world in reachable() if not world.travelling} == SETTLED


def test_whatever_an_order_passes_through_is_in_the_table() -> None:
    assert {world.triple for world in reachable()} <= SETTLED | PASSING


def test_the_passing_combinations_are_not_more_than_an_order_can_pass_through() -> None:
    assert {world.triple for world in reachable()} >= PASSING


def test_the_allowed_steps_are_those_of_orderfc() -> None:
    changes = {(status, cause): transition(status, cause).status for status in OrderStatus for cause in Cause}
    assert {(int(old), int(new), cause.value) for (old, cause), new in changes.items() if new is not None} == STEPS

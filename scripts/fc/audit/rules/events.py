"""Rules about events: each change publishes its event once, with true content, and every consumer applies it."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from fc.audit.model import Dossier, Event
from fc.audit.rules.combinations import STATUS_NAMES
from fc.audit.rules.rule import KAFKA, Context, Fault, Level, declare, rule
from fc.platform.topics import CONSUMERS, PRODUCERS, PUBLISHERS, event_identity


def _of(events: Sequence[Event], topic: str) -> list[Event]:
    return [event for event in events if event.topic == topic]


def _count(
    events: Sequence[Event], topic: str, expected: int, why: str, since: datetime, context: Context
) -> Iterator[Fault]:
    """Compare how often a topic was published; events that are old enough to have been purged may be missing."""
    actual = len(_of(events, topic))
    if actual > expected or (actual < expected and context.still_in_outbox(since)):
        yield Fault(f"{expected} {topic} ({why})", f"{actual}", since)


@rule("event_checkout", "Every order has published exactly one order.created and one stock.updated.")
def checkout(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Count the events; one without its order was published without its commit."""
    since = dossier.order.created_at if dossier.order else None
    for topic in ("order.created", "stock.updated"):
        if since:
            yield from _count(dossier.order_events, topic, 1, "the order was stored", since, context)
        elif events := _of(dossier.order_events, topic):
            yield Fault(f"0 {topic} (there is no such order)", f"{len(events)}", events[0].created_at)


@rule(
    "event_rollback",
    "stock.rollback is published once when a payment's failure or the customer ends an order, else never.",
)
def rollback(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Count the events; an order cancelled by stock.rejected holds no stock."""
    due = [step for step in dossier.history if step.cause in ("payment_failed", "customer")]
    since = due[0].created_at if due else dossier.order.updated_at if dossier.order else None
    why = f"{STATUS_NAMES[due[0].status]} by {due[0].cause}" if due else "no payment has failed"
    if since:
        yield from _count(dossier.order_events, "stock.rollback", 1 if due else 0, why, since, context)


@rule(
    "event_cancelled", "order.cancelled is published exactly once for an order that its customer cancelled, else never."
)
def cancelled(dossier: Dossier, context: Context) -> Iterator[Fault]:
    due = [step for step in dossier.history if step.cause == "customer"]
    since = due[0].created_at if due else dossier.order.updated_at if dossier.order else None
    why = "cancelled by the customer" if due else "not cancelled by the customer"
    if since:
        yield from _count(dossier.order_events, "order.cancelled", 1 if due else 0, why, since, context)


@rule(
    "event_success",
    "Every payment that received money has published exactly one payment.success, every other one none.",
)
def success(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Count the events; money received late is published too."""
    for payment in dossier.payments:
        paid = payment.paid_at or payment.late_paid_at
        why = "paid" if payment.paid_at else "paid late" if paid else "not paid"
        since = paid or payment.update_time
        yield from _count(dossier.payment_events, "payment.success", 1 if paid else 0, why, since, context)


@rule("event_failed", "Every closed payment has published exactly one payment.failed, unless its order knew.")
def failed(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Count the events; the order reads stock.rejected itself, and has published order.cancelled."""
    for payment in dossier.payments:
        due = payment.is_closed and payment.reason not in ("stock_rejected", "order_cancelled")
        why = f"{payment.status}, {payment.reason or 'no reason'}"
        # Money received late has changed the row since; its creation is a lower bound.
        since = payment.create_time if payment.late_paid_at else payment.update_time
        yield from _count(dossier.payment_events, "payment.failed", 1 if due else 0, why, since, context)


@rule("event_rejected", "stock.rejected is published exactly once for an order whose ledger is REJECTED, else never.")
def rejected(dossier: Dossier, context: Context) -> Iterator[Fault]:
    refused = [row for row in dossier.ledger if row.state == "REJECTED"]
    events = _of(dossier.stock_events, "stock.rejected")
    moments = [row.updated_at for row in dossier.ledger] or [event.created_at for event in events]
    if moments:
        why = "ledger REJECTED" if refused else "nothing REJECTED"
        yield from _count(events, "stock.rejected", 1 if refused else 0, why, max(moments), context)


@rule("event_payload", "An event has the values of its order and payment.")
def payload(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare amounts, customers, products and reasons where the event has them: older producers sent fewer fields."""
    for event in dossier.events():
        content: dict[str, Any] = json.loads(event.payload, parse_float=Decimal)
        for name, expected in _content(dossier, event).items():
            actual = content.get(name)
            if name == "products" and actual is not None:
                actual = _lines(actual)
            if name in content and actual != expected:
                yield Fault(f"{name} {expected}", f"{event.topic} has {actual}", event.created_at)


def _content(dossier: Dossier, event: Event) -> dict[str, Any]:
    content: dict[str, Any] = {"order_id": dossier.order_id}
    if dossier.order and event.topic in ("order.created", "stock.updated", "stock.rollback", "stock.rejected"):
        content["products"] = sorted((line.product_id, line.quantity) for line in dossier.lines)
    if dossier.order and event.topic == "order.created":
        order = dossier.order
        content |= {"user_id": order.user_id, "total_amount": order.total_amount, "currency": order.currency}
    if dossier.payment and event.topic == "payment.failed":
        content |= {"status": dossier.payment.status, "reason": dossier.payment.reason}
    if event.topic == "payment.success":
        content["status"] = "PAID"
    return content


def _lines(products: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    return sorted((item.get("product_id"), item.get("quantity", item.get("qty"))) for item in products)


@rule("event_times", "An event is published after it was written.")
def times(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare two times of the same database."""
    for event in dossier.events():
        if event.published_at and event.published_at < event.created_at:
            actual = f"{event.topic} at {event.published_at.isoformat()}"
            yield Fault(f"after {event.created_at.isoformat()}", actual, event.published_at)


@rule("event_id", "No event id is used twice.")
def event_id(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Report ids of another outbox; within one outbox a unique constraint forbids them."""
    for event in dossier.events():
        if event.event_id in context.reused:
            yield Fault("a new id", f"{event.topic} with id {event.event_id} again", event.created_at)


@rule(
    "event_on_topic",
    "Every event that is marked as published is on its topic, with the key of its order.",
    needs=(KAFKA,),
)
def on_topic(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Look up the events, except those that the topic no longer keeps."""
    for event in dossier.events():
        if event.published_at is None:
            continue
        place = context.places.get(event_identity(event.topic, event.event_id))
        kept_since = context.kept_since.get(event.topic)
        if place is None and (kept_since is None or event.published_at > kept_since):
            yield Fault(f"{event.topic} {event.event_id}", "not on the topic", event.published_at)
        elif place and (place.topic, place.order_id) != (event.topic, event.order_id):
            actual = f"on {place.topic} under order {place.order_id}"
            yield Fault(f"{event.topic} {event.event_id} under order {event.order_id}", actual, event.published_at)


@rule(
    "event_applied", "Every message before a group's committed offset is in its inbox or a dead letter.", needs=(KAFKA,)
)
def applied(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Report messages that were consumed without an effect."""
    for event in dossier.events():
        place = context.places.get(event_identity(event.topic, event.event_id))
        for service in CONSUMERS.get(event.topic, ()) if place else ():
            pair = (service, event_identity(event.topic, event.event_id))
            passed = place and context.committed.get((service, place.topic, place.partition), 0) > place.offset
            if passed and pair not in context.consumed and pair not in context.letters:
                yield Fault(f"{event.topic} in the inbox of {service}", "consumed without effect", event.published_at)


@rule("event_parked", "No event is parked.", level=Level.ATTENTION)
def parked(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """List events that could not be published, once there was time for another attempt."""
    for event in dossier.events():
        if event.parked_at and event.published_at is None and event.parked_at < context.now - context.stuck:
            error = event.last_error or "no error noted"
            yield Fault(f"{event.topic} published", f"{PRODUCERS.get(event.topic)}: {error}", event.parked_at)


@rule("event_recorded", "Every parked event of paymentfc is in failed_events.")
def parked_recorded(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Report parked events that the list for administrators lacks."""
    for event in dossier.payment_events:
        if event.event_id in context.unrecorded:
            yield Fault("a row in failed_events", f"none for {event.topic}", event.parked_at)


_KEYS = """
SELECT 'event ' || event_id, NULL::bigint, 'order-' || coalesce(payload->>'order_id', '<no order_id>'), key, created_at
FROM outbox WHERE key IS DISTINCT FROM 'order-' || (payload->>'order_id')
"""
_WAITING = """
SELECT 'outbox of {}', NULL::bigint, 'published',
  count(*) || ' events wait, last error: ' || coalesce(max(last_error), 'none'), min(created_at)
FROM outbox WHERE published_at IS NULL AND parked_at IS NULL AND created_at < now() - $1::interval HAVING count(*) > 0
"""

declare("event_key", "Every event has the key of the order in its payload.", sql=dict.fromkeys(PUBLISHERS, _KEYS))
declare(
    "outbox_stuck",
    "No event waits long to be published.",
    level=Level.ATTENTION,
    sql={service: _WAITING.format(service) for service in PUBLISHERS},
)
declare("event_ghost", "Every message that a service has sent was committed in its outbox.", needs=(KAFKA,))
declare(
    "event_foreign",
    "Every message on the topics comes from a service of this platform.",
    level=Level.ATTENTION,
    needs=(KAFKA,),
)
declare("event_unreadable", "Every record on the topics can be unpacked.", level=Level.ATTENTION, needs=(KAFKA,))
declare("consumer_stuck", "No message waits long to be consumed.", level=Level.ATTENTION, needs=(KAFKA,))
declare("dead_letter", "There are no dead letters.", level=Level.ATTENTION, needs=(KAFKA,))

"""Rules about events: each change has published what it must, once, saying what is true, and it has arrived."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from fc.audit.model import Dossier, Event
from fc.audit.rules.combinations import STATUS_NAMES
from fc.audit.rules.rule import KAFKA, Context, Fault, Level, declare, rule
from fc.platform.topics import CONSUMERS, PUBLISHER


def _of(events: Sequence[Event], topic: str) -> list[Event]:
    return [event for event in events if event.topic == topic]


def _count(events: Sequence[Event], topic: str, wanted: int, why: str, since: datetime, context: Context) -> Iterator[Fault]:  # fmt: skip
    """Compare how often a topic was published; events that are old enough to have been purged may be missing."""
    found = len(_of(events, topic))
    if found > wanted or (found < wanted and context.still_in_outbox(since)):
        yield Fault(f"{wanted} {topic} ({why})", f"{found}", since)


@rule("event_checkout", "Every order has published exactly one order.created and one stock.updated.")
def checkout(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Count; an event without its order is an event without its commit."""
    since = dossier.order.created_at if dossier.order else None
    for topic in ("order.created", "stock.updated"):
        if since:
            yield from _count(dossier.order_events, topic, 1, "the order was stored", since, context)
        elif events := _of(dossier.order_events, topic):
            yield Fault(f"0 {topic} (there is no such order)", f"{len(events)}", events[0].created_at)


@rule(
    "event_rollback", "stock.rollback is published once when a payment's failure cancels or fails an order, else never."
)
def rollback(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Count; when stock.rejected was the cause there is nothing to give back."""
    due = [step for step in dossier.history if step.cause == "payment_failed"]
    since = due[0].created_at if due else dossier.order.updated_at if dossier.order else None
    why = f"{STATUS_NAMES[due[0].status]} by {due[0].cause}" if due else "no payment has failed"
    if since:
        yield from _count(dossier.order_events, "stock.rollback", 1 if due else 0, why, since, context)


@rule("event_success", "Every payment that money came for has published exactly one payment.success, others none.")
def success(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Count; money that came late is told too."""
    for payment in dossier.payments:
        paid = payment.paid_at or payment.late_paid_at
        why = "paid" if payment.paid_at else "paid late" if paid else "not paid"
        since = paid or payment.update_time
        yield from _count(dossier.payment_events, "payment.success", 1 if paid else 0, why, since, context)


@rule(
    "event_failed", "Every payment that was closed has published exactly one payment.failed, unless stock was rejected."
)
def failed(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Count; stock.rejected has told the order by itself."""
    for payment in dossier.payments:
        due = payment.is_closed and payment.reason != "stock_rejected"
        why = f"{payment.status}, {payment.reason or 'no reason'}"
        # Money that came late has changed the row since; creation is a lower bound then.
        since = payment.create_time if payment.late_paid_at else payment.update_time
        yield from _count(dossier.payment_events, "payment.failed", 1 if due else 0, why, since, context)


@rule("event_rejected", "stock.rejected is published exactly once for an order whose ledger says REJECTED, else never.")
def rejected(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Count."""
    refused = [row for row in dossier.ledger if row.state == "REJECTED"]
    events = _of(dossier.stock_events, "stock.rejected")
    moments = [row.updated_at for row in dossier.ledger] or [event.created_at for event in events]
    if moments:
        why = "ledger REJECTED" if refused else "nothing REJECTED"
        yield from _count(events, "stock.rejected", 1 if refused else 0, why, max(moments), context)


@rule("event_payload", "An event says what its order and payment say.")
def payload(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare amounts, customers, products and reasons; only fields that are there, as older producers sent fewer."""
    for event in dossier.events():
        said: dict[str, Any] = json.loads(event.payload, parse_float=Decimal)
        for name, wanted in _truth(dossier, event).items():
            found = _lines(said[name]) if name == "products" and said.get(name) is not None else said.get(name)
            if name in said and found != wanted:
                yield Fault(f"{name} {wanted}", f"{event.topic} says {found}", event.created_at)


def _truth(dossier: Dossier, event: Event) -> dict[str, Any]:
    truth: dict[str, Any] = {"order_id": dossier.order_id}
    if dossier.order and event.topic in ("order.created", "stock.updated", "stock.rollback", "stock.rejected"):
        truth["products"] = sorted((line.product_id, line.quantity) for line in dossier.lines)
    if dossier.order and event.topic == "order.created":
        order = dossier.order
        truth |= {"user_id": order.user_id, "total_amount": order.total_amount, "currency": order.currency}
    if dossier.payment and event.topic == "payment.failed":
        truth |= {"status": dossier.payment.status, "reason": dossier.payment.reason}
    if event.topic == "payment.success":
        truth["status"] = "PAID"
    return truth


def _lines(products: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    return sorted((item.get("product_id"), item.get("quantity", item.get("qty"))) for item in products)


@rule("event_times", "An event is published after it was written.")
def times(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare; both times are the same database's."""
    for event in dossier.events():
        if event.published_at and event.published_at < event.created_at:
            found = f"{event.topic} at {event.published_at.isoformat()}"
            yield Fault(f"after {event.created_at.isoformat()}", found, event.published_at)


@rule("event_id", "No event id is used twice.")
def event_id(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Look for ids that another outbox row had before; within one outbox the database sees to it."""
    for event in dossier.events():
        if event.event_id in context.reused:
            yield Fault("a new id", f"{event.topic} with id {event.event_id} again", event.created_at)


@rule(
    "event_on_topic", "Every event that is marked as published is on its topic, under its order's key.", needs=(KAFKA,)
)
def on_topic(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Look the events up, except those that are older than what the topic still holds."""
    for event in dossier.events():
        if event.published_at is None:
            continue
        place = context.places.get(event.event_id)
        kept_since = context.kept_since.get(event.topic)
        if place is None and (kept_since is None or event.published_at > kept_since):
            yield Fault(f"{event.topic} {event.event_id}", "not on the topic", event.published_at)
        elif place and (place.topic, place.order_id) != (event.topic, event.order_id):
            found = f"on {place.topic} under order {place.order_id}"
            yield Fault(f"{event.topic} {event.event_id} under order {event.order_id}", found, event.published_at)


@rule("event_applied", "Every message that a group has passed is in its inbox, or a dead letter.", needs=(KAFKA,))
def applied(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Look for messages that were consumed without effect."""
    for event in dossier.events():
        place = context.places.get(event.event_id)
        for service in CONSUMERS.get(event.topic, ()) if place else ():
            pair = (service, event.event_id)
            passed = place and context.committed.get((service, place.topic, place.partition), 0) > place.offset
            if passed and pair not in context.consumed and pair not in context.letters:
                yield Fault(f"{event.topic} in the inbox of {service}", "passed without effect", event.published_at)


@rule("event_parked", "No event is parked.", level=Level.ATTENTION)
def parked(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """List events that could not be published, once they have been tried again at least once."""
    for event in dossier.events():
        if event.parked_at and event.published_at is None and event.parked_at < context.now - context.stuck:
            error = event.last_error or "no error noted"
            yield Fault(f"{event.topic} published", f"{PUBLISHER.get(event.topic)}: {error}", event.parked_at)


@rule("event_recorded", "Every parked event of paymentfc is in failed_events.")
def parked_recorded(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Look for parked events that an administrator does not see."""
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
_SERVICES = sorted(set(PUBLISHER.values()))

declare("event_key", "Every event is keyed by the order that it tells of.", sql=dict.fromkeys(_SERVICES, _KEYS))
declare(
    "outbox_stuck", "No event waits long to be published.", level=Level.ATTENTION,
    sql={service: _WAITING.format(service) for service in _SERVICES},
)  # fmt: skip
declare("event_ghost", "Every message that a service has sent was committed in its outbox.", needs=(KAFKA,))
declare("event_foreign", "All messages come from the services.", level=Level.ATTENTION, needs=(KAFKA,))
declare("consumer_stuck", "No message waits long to be consumed.", level=Level.ATTENTION, needs=(KAFKA,))
declare("dead_letter", "No message is dead.", level=Level.ATTENTION, needs=(KAFKA,))

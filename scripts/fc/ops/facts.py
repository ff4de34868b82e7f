"""The data from which `fc stuck` derives why orders wait: open orders, their events, payments and dead letters."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from console.client.letter_box import LetterBox
from console.model.letters import Letter
from contracts.topics import CONSUMERS
from fc.ops.connections import as_stack_errors
from fc.ops.log import Log
from fc.platform.snapshot import Snapshot
from fc.platform.sources import Sources
from fc.platform.topics import PUBLISHERS, event_identity, order_in
from fc.stack.errors import StackError

Record = Any

_OPEN = "SELECT id, created_at FROM orders WHERE status IN (0, 1) ORDER BY id"
# Unpublished events matter for every order; these two belong to an order that is already cancelled.
_EVENTS = """
SELECT id, event_id, topic, key, created_at, published_at, parked_at, next_attempt_at, attempts, last_error FROM outbox
WHERE published_at IS NULL OR key = ANY($1::text[])
  OR topic IN ('stock.rollback', 'order.cancelled') ORDER BY id
"""
_PAYMENTS = """
SELECT p.order_id, p.status, p.invoice_url, p.invoice_time, p.expires_at, p.create_time, p.update_time,
  r.status AS request, r.attempts, r.tries, r.next_attempt_at, r.last_error
FROM payments p LEFT JOIN payment_requests r ON r.payment_id = p.id WHERE p.order_id = ANY($1::bigint[])
"""
_CALLBACKS = "SELECT invoice_id, external_id, status, create_time FROM payment_callbacks WHERE outcome = 'waiting'"
_CONFIRMATIONS = """
SELECT invoice_id, external_id, looks, last_error, due_at, create_time FROM payment_confirmations ORDER BY create_time
"""
# Money of a wrong amount holds its order until it is closed, also when the anomaly is resolved.
_ANOMALIES = """
SELECT a.id, a.order_id, a.external_id, a.kind, a.expected, a.received, a.create_time, a.action,
  p.status = 'PENDING' AND a.paid AS holds, p.expires_at,
  EXISTS (SELECT FROM refunds r WHERE r.payment_id = a.payment_id) AS has_refund
FROM payment_anomalies a LEFT JOIN payments p ON p.invoice_id = a.invoice_id
WHERE a.resolved_at IS NULL
  OR a.kind IN ('amount_mismatch', 'currency_mismatch') AND a.paid AND p.status = 'PENDING' ORDER BY a.id
"""
_REFUNDS = """
SELECT id, order_id, cause, amount, currency, status, failure_code, last_error, due_at, requested_at, create_time
FROM refunds WHERE status IN ('DUE', 'REQUESTED', 'FAILED', 'MANUAL') ORDER BY id
"""
_CLOSINGS = """
SELECT invoice_id, external_id, attempts, last_error, due_at, create_time FROM invoice_closings
WHERE step = 'expire' ORDER BY create_time
"""


@dataclass(slots=True)
class Facts:
    """The data about the orders that may wait; `now` is the latest of the databases' clocks.

    `unapplied` has (event, service) for events that are published and not in the inbox of that service; `unread` is the
    reason why the dead letters could not be read, if so.
    """

    now: datetime
    orders: dict[int, datetime]
    unsent: list[tuple[str, Record]] = field(default_factory=list)
    unapplied: list[tuple[Record, str]] = field(default_factory=list)
    payments: dict[int, Record] = field(default_factory=dict)
    callbacks: list[Record] = field(default_factory=list)
    confirmations: list[Record] = field(default_factory=list)
    anomalies: list[Record] = field(default_factory=list)
    refunds: list[Record] = field(default_factory=list)
    closings: list[Record] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    unread: str | None = None


async def gather(sources: Sources) -> Facts:
    """Read the databases of the three services that keep the saga, and the dead letters. Raises StackError.

    A failure of Kafka only leaves the dead letters out: it may be the reason why orders wait.
    """
    letters, unread = await _letters(sources)
    addresses = {service: sources.databases[service] for service in PUBLISHERS}
    with as_stack_errors():
        async with Snapshot.taken(addresses) as snapshot:
            open_ = {row["id"]: row["created_at"] for row in await snapshot.fetch("orderfc", _OPEN)}
            facts = Facts(snapshot.now, open_, unread=unread)
            await _read_events(snapshot, facts)
            ids = list(open_)
            payments = await snapshot.fetch("paymentfc", _PAYMENTS, ids)
            facts.payments = {row["order_id"]: row for row in payments}
            facts.callbacks = await snapshot.fetch("paymentfc", _CALLBACKS)
            facts.confirmations = await snapshot.fetch("paymentfc", _CONFIRMATIONS)
            facts.anomalies = await snapshot.fetch("paymentfc", _ANOMALIES)
            facts.refunds = await snapshot.fetch("paymentfc", _REFUNDS)
            facts.closings = await snapshot.fetch("paymentfc", _CLOSINGS)
            facts.letters = await _not_applied(snapshot, letters)
    return facts


async def _letters(sources: Sources) -> tuple[list[Letter], str | None]:
    try:
        async with Log.opened(sources.kafka) as log:
            return [item.letter for item in (await LetterBox(log).look()).items], None
    except StackError as error:
        return [], str(error)


async def _read_events(snapshot: Snapshot, facts: Facts) -> None:
    keys = [f"order-{order}" for order in facts.orders]
    published: dict[str, list[Record]] = defaultdict(list)
    for service in PUBLISHERS:
        for row in await snapshot.fetch(service, _EVENTS, keys):
            if row["published_at"] is None:
                facts.unsent.append((service, row))
                continue
            for consumer in CONSUMERS.get(row["topic"], ()):
                published[consumer].append(row)
    for consumer, rows in published.items():
        events = {event_identity(row["topic"], row["event_id"]): row for row in rows}
        applied = await snapshot.applied(consumer, {each: str(row["event_id"]) for each, row in events.items()})
        facts.unapplied += [(row, consumer) for each, row in events.items() if each not in applied]


async def _not_applied(snapshot: Snapshot, letters: list[Letter]) -> list[Letter]:
    """Leave out the letters whose event was applied since."""
    by_service: dict[str, list[Letter]] = defaultdict(list)
    for letter in letters:
        service = letter.consumer if letter.consumer in CONSUMERS[letter.topic] else CONSUMERS[letter.topic][0]
        by_service[service].append(letter)
    left = []
    for service, theirs in by_service.items():
        applied = await snapshot.applied(service, {letter.identity: letter.event_id for letter in theirs})
        left += [letter for letter in theirs if letter.identity not in applied]
    return left


def order_of(row: Record) -> int | None:
    """Return the order id in a row's `external_id`."""
    return order_in(row["external_id"])

"""What is not finished, read from the databases: open orders, their events and payments, and the dead letters."""

from collections import defaultdict
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from chassis import clock
from console.client.letter_box import LetterBox
from console.model.items import Item
from console.model.journal import Action
from console.model.letters import Letter
from console.model.unfinished import Row, Unfinished
from contracts.topics import CONSUMERS
from fc.ops.connections import as_stack_errors
from fc.ops.kafka_records import KafkaRecords
from fc.platform.errors import CouldNotCheck
from fc.platform.snapshot import Snapshot
from fc.platform.sources import Sources
from fc.platform.topics import PUBLISHERS, event_identity
from fc.stack.errors import StackError

_OPEN = "SELECT id, created_at FROM orders WHERE status IN (0, 1) ORDER BY id"
# Unpublished events matter for every order; these two belong to an order that is already cancelled.
_EVENTS = """
SELECT id, event_id, topic, key, created_at, published_at, parked_at, next_attempt_at, attempts, last_error FROM outbox
WHERE published_at IS NULL OR key = ANY($1::text[])
  OR topic IN ('stock.rollback', 'order.cancelled') ORDER BY id
"""
_PAYMENTS = """
SELECT p.order_id, p.status, p.invoice_url, p.invoice_time, p.expires_at, p.sweep_after, p.create_time, p.update_time,
  r.attempts, r.tries, r.next_attempt_at, r.last_error
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


async def read_unfinished(sources: Sources) -> Unfinished:
    """Read the databases of the three services that keep the saga, and the dead letters. Raises StackError.

    A failure of Kafka only leaves the dead letters out: it may be the reason why orders wait.
    """
    items, unread = await _letters(sources)
    letters = [item.letter for item in items if item.handled is None]
    discarded = {_event_of(item.letter) for item in items if item.handled and item.handled.action is Action.DISCARDED}
    addresses = {service: sources.databases[service] for service in PUBLISHERS}
    with as_stack_errors():
        async with Snapshot.taken(addresses) as snapshot:
            open_ = {row["id"]: row["created_at"] for row in await snapshot.fetch("orderfc", _OPEN)}
            unfinished = Unfinished(snapshot.now, open_, unread=unread, ahead=timedelta(seconds=clock.ahead_s()))
            await _read_events(snapshot, unfinished, discarded)
            payments = {row["order_id"]: row for row in await _rows(snapshot, "paymentfc", _PAYMENTS, list(open_))}
            unfinished.payments = {order_id: payments.get(order_id) for order_id in open_}
            unfinished.callbacks = await _rows(snapshot, "paymentfc", _CALLBACKS)
            unfinished.confirmations = await _rows(snapshot, "paymentfc", _CONFIRMATIONS)
            unfinished.anomalies = await _rows(snapshot, "paymentfc", _ANOMALIES)
            unfinished.refunds = await _rows(snapshot, "paymentfc", _REFUNDS)
            unfinished.closings = await _rows(snapshot, "paymentfc", _CLOSINGS)
            unfinished.letters = await _not_applied(snapshot, letters)
    return unfinished


async def _letters(sources: Sources) -> tuple[list[Item], dict[str, str]]:
    try:
        async with KafkaRecords.opened(sources.kafka, **sources.kafka_client()) as kafka:
            return (await LetterBox(kafka).look(handled=True)).items, {}
    except (CouldNotCheck, StackError) as error:
        return [], {"kafka": str(error)}


def _event_of(letter: Letter) -> tuple[str, str, str]:
    return letter.topic, letter.event_id, _consumer_of(letter)


def _consumer_of(letter: Letter) -> str:
    consumers = CONSUMERS[letter.topic]
    return letter.consumer if letter.consumer in consumers else consumers[0]


async def _rows(snapshot: Snapshot, service: str, sql: str, *values: Any) -> list[Row]:
    return [dict(row) for row in await snapshot.fetch(service, sql, *values)]


async def _read_events(snapshot: Snapshot, unfinished: Unfinished, discarded: Collection[tuple[str, str, str]]) -> None:
    keys = [f"order-{order}" for order in unfinished.orders]
    published: dict[str, list[Row]] = defaultdict(list)
    unsent: list[tuple[str, Row]] = []
    unapplied: list[tuple[Row, str]] = []
    for service in PUBLISHERS:
        for row in await _rows(snapshot, service, _EVENTS, keys):
            if row["published_at"] is None:
                unsent.append((service, row))
                continue
            for consumer in CONSUMERS.get(row["topic"], ()):
                # An event whose letter was discarded is not waited for.
                if (row["topic"], str(row["event_id"]), consumer) not in discarded:
                    published[consumer].append(row)
    for consumer, rows in published.items():
        events = {event_identity(row["topic"], row["event_id"]): row for row in rows}
        applied = await snapshot.applied(consumer, {each: str(row["event_id"]) for each, row in events.items()})
        unapplied += [(row, consumer) for each, row in events.items() if each not in applied]
    unfinished.unsent, unfinished.unapplied = unsent, unapplied


async def _not_applied(snapshot: Snapshot, letters: list[Letter]) -> list[Letter]:
    """Leave out the letters whose event was applied since."""
    by_service: dict[str, list[Letter]] = defaultdict(list)
    for letter in letters:
        by_service[_consumer_of(letter)].append(letter)
    left = []
    for service, theirs in by_service.items():
        applied = await snapshot.applied(service, {letter.identity: letter.event_id for letter in theirs})
        left += [letter for letter in theirs if letter.identity not in applied]
    return left

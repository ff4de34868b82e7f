"""What one order waits for: its answers, brought into the form that the waits of all orders have."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from console.model.events import events_of
from console.model.facts import Facts, Json, Record
from console.model.journal import Action
from console.model.letters import CURABLE
from console.model.saga import CONSUMERS, PRODUCERS
from console.model.steps import Step
from console.model.unfinished import OPEN_ORDER, OPEN_REFUND, WRONG_MONEY, Row, Unfinished, timed
from console.model.wait import Wait, urgency
from console.model.waits import all_waits

# An event that goes out while the sources are read may be found by none of them.
_READ_AFTER = timedelta(seconds=5)


def waits_of(facts: Facts) -> list[Wait]:
    """Return what an order waits for, the most urgent first; for its customer only when it is nothing else."""
    found = sorted([*all_waits(unfinished_of(facts), 0), *_missing(facts)], key=urgency)
    return [wait for wait in found if wait.step is not Step.CUSTOMER] or found


def unfinished_of(facts: Facts) -> Unfinished:
    """Return what is open of one order."""
    unfinished = Unfinished(facts.now, unread=dict(facts.unread), ahead=facts.ahead)
    is_open = facts.order is not None and facts.order["status"] in OPEN_ORDER
    if facts.order is not None and is_open:
        unfinished.orders[facts.order_id] = datetime.fromisoformat(facts.order["created_at"])
    unfinished.unsent = [(PRODUCERS.get(row["topic"], "its service"), timed(row)) for row in facts.unsent]
    unfinished.letters = [_Letter(facts.order_id, record) for record in _letters(facts)]
    unfinished.unapplied = list(_unapplied(facts))
    if facts.dossier is not None:
        _add_dossier(unfinished, facts.order_id, facts.dossier)
    elif "paymentfc" not in facts.unread:
        unfinished.payments[facts.order_id] = None
    if facts.order is not None and not is_open:
        unfinished.payments.clear()
    return unfinished


def _add_dossier(unfinished: Unfinished, order_id: int, dossier: Json) -> None:
    payment, of_order = dossier["payment"], {"order_id": order_id, "external_id": f"order-{order_id}"}
    unfinished.payments[order_id] = None if payment is None else payment_row(payment, dossier["request"])
    unfinished.callbacks = [timed({**row, **of_order}) for row in dossier["callbacks"] if row["outcome"] == "waiting"]
    unfinished.confirmations = [timed({**row, **of_order}) for row in dossier["confirmations"]]
    unfinished.closings = [timed({**row, **of_order}) for row in dossier["closings"] if row["step"] == "expire"]
    unfinished.refunds = [timed({**row, **of_order}) for row in dossier["refunds"] if row["status"] in OPEN_REFUND]
    unfinished.anomalies = [
        timed({**row, **of_order})
        for row in _with_holds(dossier["anomalies"], payment, has_refund=bool(dossier["refunds"]))
        if row["resolved_at"] is None or row["holds"]
    ]


def payment_row(payment: Json, request: Json | None) -> Row:
    """Return a payment with its request for an invoice, as the waits read it."""
    asked = {name: request and request[name] for name in ("attempts", "tries", "last_error", "next_attempt_at")}
    return timed({**payment, **asked})


def _with_holds(anomalies: Iterable[Json], payment: Json | None, *, has_refund: bool) -> Iterator[dict[str, Any]]:
    """Yield anomalies; `holds`: the order can't end by itself because money of a wrong amount has come."""
    for row in anomalies:
        is_open = payment is not None and payment["status"] == "PENDING" and payment["invoice_id"] == row["invoice_id"]
        holds = is_open and row["paid"] and row["kind"] in WRONG_MONEY
        ends = payment and payment["expires_at"]
        yield {**row, "holds": holds, "expires_at": ends, "has_refund": has_refund}


def _letters(facts: Facts) -> Iterator[Record]:
    """Yield the dead letters whose event was not applied since."""
    for record in facts.records:
        is_open = record.reason is not None and (record.topic, record.place) not in facts.handled
        if is_open and not _is_applied(facts, record, _consumer_of(record)):
            yield record


def _unapplied(facts: Facts) -> Iterator[tuple[Row, str]]:
    """Yield the events on their topic that a consumer has not applied.

    An event that it has dead-lettered is left out until the letter is replayed or discarded.
    """
    dead = {
        (record.topic, record.event_id, _consumer_of(record))
        for record in facts.records
        if record.reason and facts.handled.get((record.topic, record.place)) != Action.REPLAYED
    }
    events: dict[tuple[str, str], Record] = {}
    for record in facts.records:
        key = record.topic, record.event_id
        if record.reason is None and (key not in events or record.published_at < events[key].published_at):
            events[key] = record
    for (topic, event_id), first in events.items():
        for consumer in CONSUMERS.get(topic, ()):
            if (topic, event_id, consumer) not in dead and not _is_applied(facts, first, consumer):
                published = first.published_at + facts.ahead
                yield {"topic": topic, "key": f"order-{facts.order_id}", "published_at": published}, consumer


def _is_applied(facts: Facts, record: Record, consumer: str) -> bool:
    same = [one for one in facts.records if (one.topic, one.event_id) == (record.topic, record.event_id)]
    if any((consumer, one.identity) in facts.applied for one in same):
        return True
    # Its inbox can't be read. What its group has committed is done.
    return consumer in facts.unread and any(consumer in one.done_by for one in same)


def _consumer_of(letter: Record) -> str:
    consumers, consumer = CONSUMERS[letter.topic], (letter.handler or "").partition(".")[0]
    return consumer if consumer in consumers else consumers[0]


def _missing(facts: Facts) -> Iterator[Wait]:
    """Yield the events that must exist and are nowhere."""
    for event in events_of(facts):
        since = _written_by(facts, event.topic)
        if event.state == "missing" and since <= facts.now - _READ_AFTER:
            age = (facts.now - since).total_seconds()
            cause = f"{event.topic} is neither in an outbox nor on its topic"
            yield Wait(facts.order_id, Step.UNKNOWN, since, cause, "", "fc audit", age_s=age)


def _written_by(facts: Facts, topic: str) -> datetime:
    """Return when an event was written at the latest."""
    times = {
        "orderfc": [step["timestamp"] for step in (facts.order or {}).get("history", ())],
        "paymentfc": [facts.payment["update_time"]] if facts.payment else [],
        "productfc": [row["updated_at"] for row in facts.stock],
    }[PRODUCERS[topic]]
    return max((datetime.fromisoformat(time) for time in times), default=facts.now)


@dataclass(frozen=True, slots=True)
class _Letter:
    """A record of a dead letter topic, as the waits read it."""

    order_id: int | None
    record: Record

    @property
    def topic(self) -> str:
        return self.record.topic

    @property
    def place(self) -> str:
        return self.record.place

    @property
    def time(self) -> datetime:
        return self.record.published_at

    @property
    def reason(self) -> str:
        return self.record.reason or "unknown"

    @property
    def consumer(self) -> str:
        return _consumer_of(self.record)

    def refusal(self) -> str | None:
        return None if self.reason in CURABLE else f"{self.reason} is permanent: the same bytes fail again"

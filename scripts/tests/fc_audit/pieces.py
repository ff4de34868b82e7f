"""The record of one order across all stores, and rows that several tests add to it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from chassis.ids import uuid7
from contracts.topics import CONSUMERS, PRODUCERS
from fc.audit.model import Invoice
from fc.audit.reading.mongo import entry_hash
from fc.audit.refund_model import GivenBack
from fc.audit.rules.audit_chain import FIRST
from fc.platform.topics import event_identity

Row = dict[str, Any]

USER = 7
LINES = ((1, 2, Decimal(25_000)), (2, 1, Decimal(100_000)))
TOTAL = Decimal(150_000)


@dataclass(frozen=True)
class Ending:
    """How an order ends: causes in the order of arrival, and what they leave behind."""

    causes: tuple[str, ...]
    payment: str
    ledger: str
    reason: str | None = None
    late: bool = False
    invoiced: bool = True


@dataclass
class Sample:
    """The rows of one order by (service, table), and what stands elsewhere; tests change it before it is stored."""

    order_id: int
    ending: Ending
    at: datetime
    rows: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    documents: list[Row] = field(default_factory=list)
    invoices: list[Invoice] = field(default_factory=list)
    given_back: list[GivenBack] = field(default_factory=list)
    off_topic: set[UUID] = field(default_factory=set)
    sent_keys: dict[UUID, str] = field(default_factory=dict)
    """What an event was sent with in place of its own key."""
    unchained: bool = False
    """Whether its audit entries are of a version without hashes."""
    not_passed: bool = False
    """Whether its messages lie beyond what the groups have consumed."""

    def add(self, service: str, table: str, **columns: Any) -> Row:
        """Add a row."""
        self.rows.setdefault((service, table), []).append(columns)
        return columns

    def of(self, service: str, table: str) -> list[Row]:
        """Return the rows of a table."""
        return self.rows.setdefault((service, table), [])

    def event(self, topic: str) -> Row:
        """Return the outbox row of a topic."""
        [found] = [row for row in self.of(PRODUCERS[topic], "outbox") if row["topic"] == topic]
        return found

    @property
    def invoice_id(self) -> str:
        """Name its invoice."""
        return f"invoice-{self.order_id}"

    @property
    def closed(self) -> bool:
        """Whether the payment ends unpaid."""
        return self.ending.payment in ("EXPIRED", "FAILED")

    @property
    def refund_due(self) -> bool:
        """Whether money was received for an order that cannot be served."""
        return "paid" in self.ending.causes and len(self.ending.causes) > 1

    def publish(self, topic: str, seconds: float, /, **payload: Any) -> UUID:
        """Add an event that is published, consumed by every consumer, and in the audit log if it is a payment's."""
        event_id, written = uuid7(), self.at + timedelta(seconds=seconds)
        self.add(
            PRODUCERS[topic],
            "outbox",
            event_id=event_id,
            topic=topic,
            key=f"order-{self.order_id}",
            payload=json.dumps({"order_id": self.order_id, **payload}),
            headers="{}",
            created_at=written,
            published_at=written + timedelta(milliseconds=20),
            attempts=0,
            parked_at=None,
        )
        for service in CONSUMERS[topic]:
            identity = event_identity(topic, event_id)
            self.add(service, "inbox", consumer=service, event_id=identity, received_at=written)
        if PRODUCERS[topic] == "paymentfc":
            self.audit("event.published", seconds, topic=topic, event_id=str(event_id))
        return event_id

    def audit(self, event: str, seconds: float, /, **metadata: Any) -> None:
        """Add a document of the audit log."""
        self.documents.append(
            {
                "event_id": str(uuid7()),
                "order_id": self.order_id,
                "event": event,
                "metadata": metadata,
                "create_time": self.at + timedelta(seconds=seconds),
            }
        )

    def chain(self) -> None:
        """Give its audit entries their hashes, and paymentfc the end of the chain, unless it is of a version before."""
        if self.unchained or not self.documents:
            return
        last = FIRST
        for document in self.documents:
            at = document["create_time"]
            document["create_time"] = at.replace(microsecond=at.microsecond // 1000 * 1000)
            document["prev_hash"] = last
            document["hash"] = last = entry_hash(document) or ""
        self.add("paymentfc", "audit_heads", order_id=self.order_id, hash=last, entries=len(self.documents))


def anomaly_of(made: Sample, kind: str) -> Row:
    """Make an anomaly that a person has looked at."""
    then = made.at + timedelta(seconds=3)
    return {
        "order_id": made.order_id,
        "payment_id": made.order_id,
        "external_id": f"order-{made.order_id}",
        "invoice_id": made.invoice_id,
        "kind": kind,
        "expected": "that",
        "received": "this",
        "amount": "150000",
        "currency": "IDR",
        "resolved_at": then,
        "create_time": then,
    }


def refund_of(made: Sample, source: str = "taken", cause: str = "paid_after_close") -> Row:
    """Make the refund of a money that a person has given back."""
    # In the transaction that recorded the anomaly.
    then = made.at + timedelta(seconds=3)
    return {
        "id": made.order_id,
        "order_id": made.order_id,
        "payment_id": made.order_id,
        "invoice_id": made.invoice_id,
        "amount": TOTAL,
        "currency": "IDR",
        "cause": cause,
        "source": source,
        "status": "SETTLED",
        "requested_at": None,
        "succeeded_at": None,
        "due_at": then,
        "settled_at": then,
        "create_time": then,
        "update_time": then,
    }


def callback_of(made: Sample, outcome: str) -> Row:
    """Make a stored callback about the order's invoice."""
    return {
        "invoice_id": made.invoice_id,
        "external_id": f"order-{made.order_id}",
        "status": "PAID",
        "amount": "150000",
        "asked_amount": "150000",
        "currency": "IDR",
        "body": "{}",
        "outcome": outcome,
        "create_time": made.at + timedelta(seconds=3),
    }


def invoice_of(made: Sample, status: str, name: str = "invoice", payments: int = 0) -> Invoice:
    """Make an invoice of the order at Xendit."""
    paid = TOTAL if payments else None
    return Invoice(made.order_id, f"{name}-{made.order_id}", status, TOTAL, "IDR", paid, payments, made.at, made.at)


def tables(samples: list[Sample]) -> Iterator[tuple[str, str, list[Row]]]:
    """Return (service, table, rows) in an order that foreign keys allow."""
    order = ("orders", "order_items", "order_history", "payments")
    names = {key for made in samples for key in made.rows}
    for service, table in sorted(names, key=lambda key: order.index(key[1]) if key[1] in order else len(order)):
        yield service, table, [row for made in samples for row in made.rows.get((service, table), [])]

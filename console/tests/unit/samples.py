"""Answers of the services and of Kafka about one order, as the tests of the timeline use them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from chassis.events import identity
from console.model.facts import Facts, Record
from console.model.saga import CONSUMERS, PRODUCERS

BEGIN = datetime(2026, 11, 25, 14, 2, 11, tzinfo=UTC)


def at(ms: float) -> datetime:
    return BEGIN + timedelta(milliseconds=ms)


def text(ms: float) -> str:
    return at(ms).isoformat().replace("+00:00", "Z")


def event_id(topic: str) -> str:
    return str(identity("test", topic, "id"))


def record(topic: str, ms: float, offset: int = 7, **fields: Any) -> Record:
    defaults = {"partition": 3, "committed_at": at(ms), "published_at": at(ms + 4), **fields}
    return Record(topic, event_id(topic), identity(PRODUCERS[topic], topic, event_id(topic)), offset=offset, **defaults)


def applied(topic: str, ms: float) -> dict[tuple[str, UUID], datetime]:
    found = identity(PRODUCERS[topic], topic, event_id(topic))
    return {(consumer, found): at(ms) for consumer in CONSUMERS[topic]}


def order(*steps: tuple[str, str, float]) -> dict[str, Any]:
    """Make an order that was created at BEGIN, with further steps: status, cause, milliseconds."""
    history = [("created", "checkout", 0.0), *steps]
    return {
        "order_id": 42,
        "status": history[-1][0],
        "created_at": text(0),
        "lines": [{"product_id": 1, "name": "Ceramic Mug", "quantity": 2, "price": 45000}],
        "history": [{"status": status, "cause": cause, "timestamp": text(ms)} for status, cause, ms in history],
    }


def payment(status: str = "PENDING", **fields: Any) -> dict[str, Any]:
    defaults = {
        "status": status,
        "amount": 90000,
        "currency": "IDR",
        "reason": None,
        "user_email": "alice@example.com",
        "invoice_id": "inv-1",
        "invoice_url": "https://checkout.example/inv-1",
        "invoice_time": text(18),
        "expires_at": text(86_400_000),
        "sweep_after": None,
        "paid_at": None,
        "late_paid_at": None,
        "create_time": text(6),
        "update_time": text(2300),
    }
    return defaults | fields


def dossier(paid: dict[str, Any] | None, **parts: Any) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(
        ("callbacks", "confirmations", "receipts", "anomalies", "refunds", "closings"), []
    )
    return {"payment": paid, "request": None, "rejection": None, **empty, **parts}


def callback(number: int, outcome: str, ms: float, status: str = "PAID") -> dict[str, Any]:
    defaults = {"id": number, "invoice_id": "inv-1", "status": status, "outcome": outcome}
    return {**defaults, "deliveries": 1, "create_time": text(ms)}


def anomaly(kind: str, ms: float, **fields: Any) -> dict[str, Any]:
    defaults = {
        "id": 1,
        "invoice_id": "inv-1",
        "kind": kind,
        "expected": "EXPIRED",
        "received": "PAID",
        "currency": "IDR",
        "paid": True,
        "action": None,
        "note": None,
        "resolved_at": None,
        "create_time": text(ms),
    }
    return defaults | fields


def refund(status: str, ms: float, **fields: Any) -> dict[str, Any]:
    defaults = {
        "id": 4,
        "invoice_id": "inv-1",
        "amount": 90000,
        "currency": "IDR",
        "cause": "paid_after_close",
        "status": status,
        "failure_code": None,
        "attempts": 0,
        "last_error": None,
        "due_at": text(ms),
        "note": None,
        "requested_at": None,
        "create_time": text(ms),
        "update_time": text(ms),
    }
    return defaults | fields


def request(**fields: Any) -> dict[str, Any]:
    """Make a request for an invoice that Xendit has not answered yet."""
    defaults = {"attempts": 1, "tries": 0, "last_error": None, "next_attempt_at": text(2000), "create_time": text(6)}
    return defaults | fields


def unsent(topic: str, ms: float, **fields: Any) -> dict[str, Any]:
    defaults = {
        "id": 5,
        "event_id": event_id(topic),
        "topic": topic,
        "key": "order-42",
        "state": "pending",
        "created_at": text(ms),
        "attempts": 0,
        "next_attempt_at": None,
        "parked_at": None,
        "last_error": None,
    }
    return defaults | fields


def ledger(state: str, product: int, created: float, updated: float) -> dict[str, Any]:
    return {
        "product_id": product,
        "quantity": 2,
        "state": state,
        "created_at": text(created),
        "updated_at": text(updated),
    }


def completed() -> Facts:
    """A paid order, all of whose events are applied."""
    topics = {"order.created": 0, "stock.updated": 0, "payment.success": 2310}
    received: dict[tuple[str, UUID], datetime] = {}
    for topic, ms in topics.items():
        received |= applied(topic, ms + 9)
    return Facts(
        42,
        at(10_000),
        order(("completed", "paid", 2319)),
        dossier(payment("PAID", paid_at=text(2308)), callbacks=[callback(1, "paid", 2302)]),
        [ledger("TAKEN", 2, 9, 9), ledger("TAKEN", 1, 9, 9)],
        records=[record(topic, ms, offset) for offset, (topic, ms) in enumerate(topics.items())],
        applied=received,
    )


def compensated() -> Facts:
    """An order that expired: its stock was given back, and money came afterwards."""
    topics = {
        "order.created": 0,
        "stock.updated": 0,
        "payment.failed": 2300,
        "stock.rollback": 2310,
        "payment.success": 9000,
    }
    received: dict[tuple[str, UUID], datetime] = {}
    for topic, ms in topics.items():
        received |= applied(topic, ms + 9)
    return Facts(
        42,
        at(10_000),
        order(("cancelled", "payment_failed", 2309), ("failed", "paid", 9009)),
        dossier(
            payment("EXPIRED", reason="expired", late_paid_at=text(8999)),
            callbacks=[callback(1, "expired", 2298, "EXPIRED"), callback(2, "paid_after_close", 8990)],
            anomalies=[anomaly("paid_after_close", 8999)],
            refunds=[refund("DUE", 8999)],
        ),
        [ledger("RELEASED", 1, 9, 2319)],
        records=[record(topic, ms, offset) for offset, (topic, ms) in enumerate(topics.items())],
        applied=received,
    )

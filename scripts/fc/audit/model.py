"""The records of one order in all stores: one class per table, the order id first."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from fc.audit.log_model import AuditEntry, ChainHead
from fc.audit.refund_model import GivenBack, Refund


@dataclass(frozen=True, slots=True)
class Order:
    """A row of orderfc's `orders`."""

    order_id: int
    user_id: int
    status: int
    total_amount: Decimal
    total_qty: int
    currency: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """A row of orderfc's `order_items`."""

    order_id: int
    product_id: int
    quantity: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Step:
    """A row of orderfc's `order_history`."""

    order_id: int
    status: int
    cause: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Key:
    """A row of orderfc's `idempotency_keys` that belongs to an order."""

    order_id: int
    user_id: int
    key: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """A row of one of the three outboxes; `payload` is JSON text."""

    order_id: int
    event_id: UUID
    topic: str
    payload: str
    created_at: datetime
    published_at: datetime | None
    parked_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A row of productfc's `stock_ledger`."""

    order_id: int
    product_id: int
    quantity: int
    state: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Payment:
    """A row of paymentfc's `payments`."""

    order_id: int
    user_id: int
    external_id: str
    amount: Decimal
    currency: str
    status: str
    reason: str | None
    invoice_id: str | None
    invoice_url: str | None
    expires_at: datetime | None
    paid_at: datetime | None
    late_paid_at: datetime | None
    retry_count: int
    sweep_after: datetime | None
    create_time: datetime
    update_time: datetime

    @property
    def is_closed(self) -> bool:
        """Whether the payment ended unpaid."""
        return self.status in ("EXPIRED", "FAILED")


@dataclass(frozen=True, slots=True)
class Request:
    """A row of paymentfc's `payment_requests`."""

    order_id: int
    status: str
    next_attempt_at: datetime
    lease_until: datetime | None
    last_error: str | None
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Callback:
    """A row of paymentfc's `payment_callbacks`."""

    order_id: int
    invoice_id: str
    status: str
    outcome: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A row of paymentfc's `payment_anomalies`; `amount` is what came, of a further payment with its name."""

    order_id: int
    invoice_id: str
    kind: str
    expected: str
    received: str
    resolved_at: datetime | None
    create_time: datetime
    paid: bool
    amount: str
    currency: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A row of paymentfc's `payment_confirmations`."""

    order_id: int
    invoice_id: str
    due_at: datetime
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A row of paymentfc's `payment_receipts`."""

    order_id: int
    invoice_id: str
    receipt: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Closing:
    """A row of paymentfc's `invoice_closings`."""

    order_id: int
    invoice_id: str
    step: str
    last_error: str | None
    due_at: datetime
    done_at: datetime | None
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice at Xendit; `payments` counts the payments received, 0 where the source does not list them."""

    order_id: int
    id: str
    status: str
    amount: Decimal
    currency: str
    paid_amount: Decimal | None
    payments: int
    created: datetime | None
    updated: datetime | None

    @property
    def is_paid(self) -> bool:
        late = self.status == "EXPIRED" and bool(self.paid_amount)
        return late or self.status in ("PAID", "SETTLED") or self.payments > 0


@dataclass(frozen=True, slots=True)
class Mark:
    """The id of an order that has an invoice at Xendit."""

    order_id: int


@dataclass(slots=True)
class Dossier:
    """All records of one order id. Lists that a unique constraint limits have at most one entry."""

    order_id: int
    orders: list[Order] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    history: list[Step] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    order_events: list[Event] = field(default_factory=list)
    ledger: list[LedgerRow] = field(default_factory=list)
    stock_events: list[Event] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    callbacks: list[Callback] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)
    confirmations: list[Confirmation] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
    payment_events: list[Event] = field(default_factory=list)
    undelivered: list[AuditEntry] = field(default_factory=list)
    audit_heads: list[ChainHead] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    invoices: list[Invoice] = field(default_factory=list)
    given_back: list[GivenBack] = field(default_factory=list)
    in_flight: bool = False  # a committed message of this order has yet to be applied

    @property
    def order(self) -> Order | None:
        return self.orders[0] if self.orders else None

    @property
    def payment(self) -> Payment | None:
        return self.payments[0] if self.payments else None

    def events(self) -> Iterator[Event]:
        yield from self.order_events
        yield from self.stock_events
        yield from self.payment_events

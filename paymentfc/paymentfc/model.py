"""What a payment is, and how news from the gateway changes it: one pure decision for webhook, sweep and check."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self


class Status(StrEnum):
    """Where a payment stands. Only PENDING ever changes."""

    PENDING = "PENDING"
    PAID = "PAID"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"


class Reason(StrEnum):
    """Why a payment was closed unpaid."""

    EXPIRED = "expired"
    STOCK_REJECTED = "stock_rejected"
    INVOICE_REFUSED = "invoice_refused"
    GATEWAY_UNAVAILABLE = "gateway_unavailable"


class AnomalyKind(StrEnum):
    """What a person has to look at."""

    AMOUNT_MISMATCH = "amount_mismatch"
    CURRENCY_MISMATCH = "currency_mismatch"
    PAID_AFTER_CLOSE = "paid_after_close"
    UNKNOWN_STATUS = "unknown_status"
    UNKNOWN_INVOICE = "unknown_invoice"


class Outcome(StrEnum):
    """What a callback comes to."""

    PAID = "paid"
    EXPIRED = "expired"
    LATE = "paid_after_close"
    ANOMALY = "anomaly"
    NOTHING = "nothing"
    WAITING = "waiting"


PAID_WORDS = frozenset({"PAID", "SETTLED"})
EXPIRED_WORD = "EXPIRED"
KNOWN_WORDS = PAID_WORDS | {EXPIRED_WORD, "PENDING"}
CLOSED = frozenset({Status.EXPIRED, Status.FAILED})
MAX_PLAIN_DIGITS = 30
MAX_ID = 2**63 - 1
_OUR_EXTERNAL_ID = re.compile("order-([1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Payment:
    """The payment of one order; `amount` is in units of `currency`, times are aware UTC."""

    id: int
    order_id: int
    user_id: int
    user_email: str | None
    external_id: str
    amount: Decimal
    currency: str
    status: Status
    reason: str | None
    invoice_id: str | None
    invoice_url: str | None
    expires_at: datetime | None
    paid_at: datetime | None
    late_paid_at: datetime | None
    retry_count: int
    traceparent: str | None
    create_time: datetime
    update_time: datetime

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Read a database row that has exactly these columns."""
        return cls(**{**row, "status": Status(row["status"])})

    @property
    def is_open(self) -> bool:
        """Tell whether the payment still waits for its money."""
        return self.status is Status.PENDING


@dataclass(frozen=True, slots=True)
class Callback:
    """What the gateway says about one invoice, whether it called us or was asked."""

    invoice_id: str
    external_id: str
    status: str
    amount: Decimal
    paid_amount: Decimal | None = None
    currency: str = ""

    @property
    def says_paid(self) -> bool:
        """Tell whether money has come for the invoice."""
        return self.status in PAID_WORDS

    @property
    def judged_amount(self) -> Decimal:
        """Give the money that counts: what was paid where that is said, else what was asked."""
        if self.paid_amount is not None and self.status != EXPIRED_WORD:
            return self.paid_amount
        return self.amount


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One thing that is not as it should be; both sides as text."""

    kind: AnomalyKind
    expected: str
    received: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from a callback. `adopt` says that its invoice becomes the payment's own."""

    outcome: Outcome
    anomalies: tuple[Anomaly, ...] = ()
    adopt: bool = False


def decide(payment: Payment, callback: Callback, *, stray: bool = False) -> Decision:
    """Decide what a callback does to a payment; never moves a payment that is not PENDING.

    `stray` tells that the callback's invoice is one that we have expired ourselves as surplus.
    """
    word = callback.status
    if payment.invoice_id not in (None, callback.invoice_id):
        if stray and not callback.says_paid:
            return Decision(Outcome.NOTHING)
        return _anomaly(AnomalyKind.UNKNOWN_INVOICE, str(payment.invoice_id), f"{callback.invoice_id} {word}")
    if word not in KNOWN_WORDS:
        return _anomaly(AnomalyKind.UNKNOWN_STATUS, ", ".join(sorted(KNOWN_WORDS)), word)
    if mismatches := _mismatches(payment, callback):
        return Decision(Outcome.ANOMALY, mismatches)
    adopt = payment.invoice_id is None and word != "PENDING"
    if callback.says_paid and payment.status in CLOSED:
        late = Anomaly(AnomalyKind.PAID_AFTER_CLOSE, payment.status.value, word)
        return Decision(Outcome.LATE, (late,), adopt)
    if payment.is_open and callback.says_paid:
        return Decision(Outcome.PAID, adopt=adopt)
    if payment.is_open and word == EXPIRED_WORD:
        return Decision(Outcome.EXPIRED, adopt=adopt)
    return Decision(Outcome.NOTHING, adopt=adopt)


def _anomaly(kind: AnomalyKind, expected: str, received: str) -> Decision:
    return Decision(Outcome.ANOMALY, (Anomaly(kind, expected, received),))


def _mismatches(payment: Payment, callback: Callback) -> tuple[Anomaly, ...]:
    found = []
    if callback.currency != payment.currency:
        found.append(Anomaly(AnomalyKind.CURRENCY_MISMATCH, payment.currency, callback.currency))
    if callback.judged_amount != payment.amount:
        expected, received = amount_text(payment.amount), amount_text(callback.judged_amount)
        found.append(Anomaly(AnomalyKind.AMOUNT_MISMATCH, expected, received))
    return tuple(found)


def amount_text(amount: Decimal) -> str:
    """Write an amount so that equal amounts have equal texts: `150000`, `0.5`, `1E+309`."""
    sign, digits, exponent = amount.as_tuple()
    if not isinstance(exponent, int):
        return str(amount)
    while len(digits) > 1 and digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    if digits == (0,):
        return "0"
    exact = Decimal((sign, digits, exponent))
    return format(exact, "f") if abs(exact.adjusted()) <= MAX_PLAIN_DIGITS else str(exact)


def external_id(order_id: int) -> str:
    """Name the order at the gateway."""
    return f"order-{order_id}"


def named_order(ext_id: str) -> int | None:
    """Give the order that an external id of exactly our form names; it need not exist."""
    found = _OUR_EXTERNAL_ID.fullmatch(ext_id)
    order_id = int(found[1]) if found else None
    return order_id if order_id is not None and order_id <= MAX_ID else None


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line; `price` per piece in units of the invoice's currency, None where the order did not say it."""

    name: str
    quantity: int
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class InvoiceDocument:
    """What an invoice shows; amounts are in units of `currency`, times are aware."""

    order_id: int
    status: Status
    currency: str
    total: Decimal
    lines: list[InvoiceLine]
    customer: str
    email: str
    address: str
    payment_method: str
    invoice_id: str
    issued: datetime
    due: datetime | None
    paid: datetime | None

    @property
    def number(self) -> str:
        """The invoice's number."""
        return f"INV-{self.order_id:06d}"

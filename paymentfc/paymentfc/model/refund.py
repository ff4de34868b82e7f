"""Money to be given back: why, how much of it, and what may happen to a refund in each status."""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from paymentfc.model.callback import WRONG_MONEY, Anomaly, AnomalyKind, Callback, amount_text
from paymentfc.model.payment import MAX_ID, Reason


class RefundStatus(StrEnum):
    """The status of a refund.

    DUE: an administrator decides. REQUESTED: Xendit is asked to give the money back. SUCCEEDED, FAILED: it has, it has
    not. MANUAL: it can't be asked. SETTLED: a person has given the money back.
    """

    DUE = "DUE"
    REQUESTED = "REQUESTED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    MANUAL = "MANUAL"
    SETTLED = "SETTLED"


class Cause(StrEnum):
    """Why money is given back. REQUESTED: an administrator asked for it. All others: the money was not owed."""

    PAID_AFTER_CLOSE = "paid_after_close"
    STOCK_REJECTED = "stock_rejected"
    ORDER_CANCELLED = "order_cancelled"
    PAID_TWICE = "paid_twice"
    AMOUNT_MISMATCH = "amount_mismatch"
    REQUESTED = "requested"

    @property
    def reason(self) -> str:
        """The reason as Xendit knows it."""
        return _REASONS.get(self, "CANCELLATION")


_REASONS = {
    Cause.PAID_TWICE: "DUPLICATE",
    Cause.AMOUNT_MISMATCH: "OTHERS",
    Cause.REQUESTED: "REQUESTED_BY_CUSTOMER",
}
# Xendit's statuses of a refund that has ended without a transfer of money.
FAILED_WORDS = frozenset({"FAILED", "CANCELLED"})
# More digits than any currency needs. A callback may have them.
_MAX_DIGITS = 30
# An administrator may declare these refunds as made by hand.
SETTLEABLE = (RefundStatus.DUE, RefundStatus.FAILED, RefundStatus.MANUAL)
# The source of the money that the payment has taken, in time or late.
TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class Debt:
    """Money that was not owed. It is refunded once for each `source` of a payment, such as a second payment."""

    cause: Cause
    source: str
    invoice_id: str
    amount: Decimal
    currency: str

    @property
    def is_money(self) -> bool:
        return self.amount > 0 and abs(self.amount.adjusted()) <= _MAX_DIGITS


def debt_of(anomaly: Anomaly, callback: Callback, *, closed: bool = False) -> Debt | None:
    """Return the money to be refunded because of an anomaly, or None if no money is due (yet).

    `closed`: the order was closed because of it. Before, the right money may follow that of a wrong amount.
    """
    if anomaly.kind in WRONG_MONEY:
        return wrong_money(callback) if closed else None
    if anomaly.kind is AnomalyKind.PAID_AFTER_CLOSE:
        known = {Reason.STOCK_REJECTED.value: Cause.STOCK_REJECTED, Reason.ORDER_CANCELLED.value: Cause.ORDER_CANCELLED}
        return _debt(known.get(anomaly.expected, Cause.PAID_AFTER_CLOSE), TAKEN, callback)
    if anomaly.kind is AnomalyKind.PAID_TWICE:
        return _debt(Cause.PAID_TWICE, f"receipt:{anomaly.receipt}", callback)
    return None


def wrong_money(callback: Callback) -> Debt:
    """Return the money of a wrong amount or currency, for which the order can't be served."""
    source = f"amount:{amount_text(callback.judged_amount)} {callback.currency}"
    return _debt(Cause.AMOUNT_MISMATCH, source, callback)


def _debt(cause: Cause, source: str, callback: Callback) -> Debt:
    return Debt(cause, source, callback.invoice_id, callback.judged_amount, callback.currency)


@dataclass(frozen=True, slots=True)
class Refund:
    """One refund; `amount` is in units of `currency`. `payment_id` is that of our payment.

    `gateway_id` is its id at Xendit, once that is known. `due_at` is when it is looked at next, and the end of a claim.
    `traceparent` is the order's, which a claim reads.
    """

    id: int
    order_id: int
    payment_id: int
    invoice_id: str
    amount: Decimal
    currency: str
    cause: Cause
    source: str | None
    status: RefundStatus
    failure_code: str | None
    attempts: int
    note: str | None
    gateway_id: str | None
    due_at: datetime
    create_time: datetime
    update_time: datetime
    traceparent: str | None = None

    @property
    def reference(self) -> str:
        """Its name at Xendit, and the key of the call that makes it."""
        return f"refund-{self.id}"

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        return cls(**{**row, "cause": Cause(row["cause"]), "status": RefundStatus(row["status"])})


@dataclass(frozen=True, slots=True)
class Answer:
    """A refund as Xendit shows it; None is what it left out."""

    id: str
    reference: str | None
    status: str
    amount: Decimal
    currency: str
    failure_code: str | None
    invoice_id: str | None = None


_OUR_REFERENCE = re.compile("refund-([1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class RefundCallback:
    """What a callback says of a refund."""

    gateway_id: str
    reference: str | None
    status: str
    amount: Decimal
    currency: str

    @property
    def refund_id(self) -> int | None:
        """The refund that a reference of exactly our form names; it need not exist."""
        match = _OUR_REFERENCE.fullmatch(self.reference or "")
        number = int(match[1]) if match else None
        return number if number is not None and number <= MAX_ID else None

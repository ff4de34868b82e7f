"""The payment of one order, its statuses, and the external id that names the order at the gateway."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

MAX_ID = 2**63 - 1
_OUR_EXTERNAL_ID = re.compile("order-([1-9][0-9]{0,18})")


class Status(StrEnum):
    """The status of a payment. Only PENDING ever changes."""

    PENDING = "PENDING"
    PAID = "PAID"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"


CLOSED = frozenset({Status.EXPIRED, Status.FAILED})


class Reason(StrEnum):
    """Why a payment was closed unpaid."""

    EXPIRED = "expired"
    STOCK_REJECTED = "stock_rejected"
    ORDER_CANCELLED = "order_cancelled"
    INVOICE_REFUSED = "invoice_refused"
    GATEWAY_UNAVAILABLE = "gateway_unavailable"
    AMOUNT_MISMATCH = "amount_mismatch"


# The order has heard of these itself, so that closing for them publishes nothing.
KNOWN_TO_ORDER = (Reason.STOCK_REJECTED, Reason.ORDER_CANCELLED)


@dataclass(frozen=True, slots=True)
class Payment:
    """The payment of one order; `amount` is in units of `currency`, times are aware UTC.

    `receipt` is Xendit's id of the payment that was taken, in time or late; None where Xendit has not named it.
    """

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
    receipt: str | None
    retry_count: int
    traceparent: str | None
    create_time: datetime
    update_time: datetime

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        return cls(**{**row, "status": Status(row["status"])})

    @property
    def is_open(self) -> bool:
        return self.status is Status.PENDING

    @property
    def was_paid(self) -> bool:
        """Whether its amount has come, in time or late."""
        return self.status is Status.PAID or self.late_paid_at is not None

    @property
    def needs_invoice(self) -> bool:
        return self.is_open and self.invoice_id is None


def external_id(order_id: int) -> str:
    return f"order-{order_id}"


def named_order(ext_id: str) -> int | None:
    """Return the order that an external id of exactly our form names; the order need not exist."""
    match = _OUR_EXTERNAL_ID.fullmatch(ext_id)
    order_id = int(match[1]) if match else None
    return order_id if order_id is not None and order_id <= MAX_ID else None

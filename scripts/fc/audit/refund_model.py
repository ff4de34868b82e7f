"""The records of refunds, here and at Xendit."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Refund:
    """A row of paymentfc's `refunds`; `source` names the money that was not owed; None for a request."""

    order_id: int
    id: int
    invoice_id: str
    cause: str
    source: str | None
    amount: Decimal
    currency: str
    status: str
    failure_code: str | None
    last_error: str | None
    due_at: datetime
    requested_at: datetime | None
    succeeded_at: datetime | None
    failed_at: datetime | None
    settled_at: datetime | None
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class GivenBack:
    """A refund at Xendit; `reference` is the name that its maker gave it."""

    id: str
    reference: str | None
    amount: Decimal
    currency: str
    status: str

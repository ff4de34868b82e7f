"""A payment for tests of pure code."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from paymentfc.model.payment import Payment, Status

NOW = datetime(2026, 1, 1, tzinfo=UTC)
_PAYMENT = Payment(
    id=1,
    order_id=7,
    user_id=3,
    user_email=None,
    external_id="order-7",
    amount=Decimal("150000.00"),
    currency="IDR",
    status=Status.PENDING,
    reason=None,
    invoice_id="inv-1",
    invoice_url=None,
    expires_at=None,
    paid_at=None,
    late_paid_at=None,
    receipt=None,
    retry_count=0,
    traceparent=None,
    create_time=NOW,
    update_time=NOW,
)


def payment(status: Status = Status.PENDING, **changes: Any) -> Payment:
    """Return a payment of 150,000 rupiah with the invoice inv-1."""
    return replace(_PAYMENT, status=status, **changes)

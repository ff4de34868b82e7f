"""The contents of an invoice's PDF."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from paymentfc.model.payment import Status


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """`price` is per piece in units of the invoice's currency, None where the order has no price."""

    name: str
    quantity: int
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class InvoiceDocument:
    """Amounts are in units of `currency`, times are aware; `complete` is false where the payer's name is missing."""

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
    complete: bool = True

    @property
    def number(self) -> str:
        return f"INV-{self.order_id:06d}"

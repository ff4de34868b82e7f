"""The fields that the services of the Go system need; they may run beside these services on the same topics."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel


class Line(BaseModel):
    """A line of the stock events."""

    product_id: int
    quantity: int


class OrderCreated(BaseModel):
    """What its payment service makes an invoice of; the amount is a float64 there."""

    order_id: int
    user_id: int
    total_amount: float
    payment_method: str
    shipping_address: str


class StockChange(BaseModel):
    """What its product service reads of stock.updated and stock.rollback."""

    order_id: int
    products: list[Line]
    event_time: datetime


class PaymentSuccess(BaseModel):
    """What its order service reads of payment.success."""

    order_id: int
    status: Literal["PAID"]
    topic: Literal["payment.success"]


class PaymentFailed(BaseModel):
    """What its order service reads of payment.failed."""

    order_id: int
    status: Literal["FAILED", "EXPIRED"]
    topic: Literal["payment.failed"]
    reason: str


# The Go system has neither stock.rejected nor order.cancelled.
READERS: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("paymentfc", "order.created", OrderCreated),
    ("productfc", "stock.updated", StockChange),
    ("productfc", "stock.rollback", StockChange),
    ("orderfc", "payment.success", PaymentSuccess),
    ("orderfc", "payment.failed", PaymentFailed),
)

"""The events that paymentfc publishes, and of others' events only the fields that it reads."""

from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, FailFast, Field

from chassis.events import Event
from chassis.ids import PositiveId
from chassis.money import Money
from paymentfc.model.payment import Payment, Status

ORDER_CREATED = "order.created"
STOCK_REJECTED = "stock.rejected"
ORDER_CANCELLED = "order.cancelled"
PAYMENT_SUCCESS = "payment.success"
PAYMENT_FAILED = "payment.failed"

PUBLISHED = (PAYMENT_SUCCESS, PAYMENT_FAILED)
CONSUMED = (ORDER_CREATED, STOCK_REJECTED, ORDER_CANCELLED)


class Line(BaseModel):
    """One line of an order, as the invoice shows it."""

    model_config = ConfigDict(extra="ignore")

    product_id: PositiveId
    name: str = ""
    quantity: Annotated[int, Field(ge=1, validation_alias=AliasChoices("quantity", "qty"))]
    price: Money | None = None


class OrderCreated(BaseModel):
    """An order was accepted: make its invoice. The Go producer sends neither currency nor products."""

    model_config = ConfigDict(extra="ignore")

    order_id: PositiveId
    user_id: PositiveId
    total_amount: Money
    payment_method: str = ""
    shipping_address: str = ""
    currency: str | None = None
    products: Annotated[list[Line], FailFast()] = Field(default_factory=list)


class StockRejected(BaseModel):
    """The stock was not there: the order is dead."""

    model_config = ConfigDict(extra="ignore")

    order_id: PositiveId
    reason: str = ""


class OrderCancelled(BaseModel):
    """The customer does not want the order any more."""

    model_config = ConfigDict(extra="ignore")

    order_id: PositiveId
    reason: str = ""


class PaymentSuccess(BaseModel):
    """The money has arrived."""

    order_id: int
    status: Literal["PAID"] = "PAID"
    topic: Literal["payment.success"] = "payment.success"


class PaymentFailed(BaseModel):
    """The money will not arrive."""

    order_id: int
    status: Literal["FAILED", "EXPIRED"]
    topic: Literal["payment.failed"] = "payment.failed"
    reason: str


def order_key(order_id: int) -> str:
    return f"order-{order_id}"


def succeeded(payment: Payment) -> Event:
    body = PaymentSuccess(order_id=payment.order_id)
    return Event.of(PAYMENT_SUCCESS, order_key(payment.order_id), body, traceparent=payment.traceparent)


def failed(payment: Payment, status: Status, reason: str) -> Event:
    """`status` is FAILED or EXPIRED."""
    word: Literal["FAILED", "EXPIRED"] = "EXPIRED" if status is Status.EXPIRED else "FAILED"
    body = PaymentFailed(order_id=payment.order_id, status=word, reason=reason)
    return Event.of(PAYMENT_FAILED, order_key(payment.order_id), body, traceparent=payment.traceparent)

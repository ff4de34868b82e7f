"""The events that orderfc publishes, and the fields that it reads of other services' events."""

from datetime import datetime

from pydantic import BaseModel

from chassis.ids import PositiveId
from chassis.money import Money

ORDER_CREATED = "order.created"
STOCK_UPDATED = "stock.updated"
STOCK_ROLLBACK = "stock.rollback"
PAYMENT_SUCCESS = "payment.success"
PAYMENT_FAILED = "payment.failed"
STOCK_REJECTED = "stock.rejected"

PUBLISHED = (ORDER_CREATED, STOCK_UPDATED, STOCK_ROLLBACK)
CONSUMED = (PAYMENT_SUCCESS, PAYMENT_FAILED, STOCK_REJECTED)


def order_key(order_id: int) -> str:
    """Return the Kafka key of an order's events; checkout's SQL builds the same text."""
    return f"order-{order_id}"


class OrderedProduct(BaseModel):
    """A line of `order.created`."""

    product_id: int
    name: str
    quantity: int
    price: Money


class OrderCreated(BaseModel):
    """`order.created` without `order_id`, which the statement that stores the order adds."""

    user_id: int
    total_amount: Money
    payment_method: str
    shipping_address: str
    currency: str
    products: list[OrderedProduct]


class StockQuantity(BaseModel):
    """A line of the stock events."""

    product_id: int
    quantity: int


class StockUpdated(BaseModel):
    """`stock.updated`, also without `order_id`. `event_time` is in UTC."""

    products: list[StockQuantity]
    event_time: datetime


class StockRollback(BaseModel):
    """`stock.rollback`: return the stock of an order. `event_time` is in UTC."""

    order_id: int
    products: list[StockQuantity]
    event_time: datetime


class PaymentResult(BaseModel):
    """The fields read of `payment.success` and `payment.failed`."""

    order_id: PositiveId
    status: str


class StockRejected(BaseModel):
    """The field read of `stock.rejected`."""

    order_id: PositiveId

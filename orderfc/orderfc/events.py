"""The events that orderfc publishes, and the fields that it reads of other services' events."""

from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel

from chassis import clock
from chassis.events import Event
from chassis.ids import PositiveId
from chassis.money import Money

ORDER_CREATED = "order.created"
STOCK_UPDATED = "stock.updated"
STOCK_ROLLBACK = "stock.rollback"
ORDER_CANCELLED = "order.cancelled"
PAYMENT_SUCCESS = "payment.success"
PAYMENT_FAILED = "payment.failed"
STOCK_REJECTED = "stock.rejected"

PUBLISHED = (ORDER_CREATED, STOCK_UPDATED, STOCK_ROLLBACK, ORDER_CANCELLED)
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


class OrderCancelled(BaseModel):
    """`order.cancelled`: the customer does not want the order any more. `event_time` is in UTC."""

    order_id: int
    reason: str
    event_time: datetime


def rollback(order_id: int, lines: Iterable[tuple[int, int]]) -> Event:
    """Return the event by which these (product id, quantity) pairs are returned to stock."""
    products = [StockQuantity(product_id=product_id, quantity=quantity) for product_id, quantity in lines]
    payload = StockRollback(order_id=order_id, products=products, event_time=clock.now())
    return Event.of(STOCK_ROLLBACK, order_key(order_id), payload)


def cancelled(order_id: int, reason: str) -> Event:
    payload = OrderCancelled(order_id=order_id, reason=reason, event_time=clock.now())
    return Event.of(ORDER_CANCELLED, order_key(order_id), payload)


class PaymentResult(BaseModel):
    """The fields read of `payment.success` and `payment.failed`."""

    order_id: PositiveId
    status: str


class StockRejected(BaseModel):
    """The field read of `stock.rejected`."""

    order_id: PositiveId

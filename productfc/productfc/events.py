"""The event that productfc publishes, and the fields that it reads of the events of others."""

from datetime import datetime
from typing import Annotated

from pydantic import AliasChoices, BaseModel, FailFast, Field

from chassis.events import Message
from chassis.ids import PositiveId
from productfc.model import Claim, Line, merge

STOCK_UPDATED = "stock.updated"
STOCK_ROLLBACK = "stock.rollback"
STOCK_REJECTED = "stock.rejected"

PUBLISHED = (STOCK_REJECTED,)
CONSUMED = (STOCK_UPDATED, STOCK_ROLLBACK)


def order_key(order_id: int) -> str:
    return f"order-{order_id}"


class StockLine(BaseModel):
    """A line of the stock events. The Go services also call the quantity `qty`."""

    product_id: PositiveId = Field(strict=True)
    quantity: int = Field(strict=True, ge=1, le=2**31 - 1, validation_alias=AliasChoices("quantity", "qty"))

    def line(self) -> Line:
        return Line(self.product_id, self.quantity)


class StockUpdated(BaseModel):
    """`stock.updated` as it is read here: take these products for an order."""

    order_id: PositiveId = Field(strict=True)
    products: Annotated[list[StockLine], FailFast()] = Field(min_length=1)


class StockRollback(BaseModel):
    """`stock.rollback` as it is read here: return what the order holds. Only a tombstone uses the products."""

    order_id: PositiveId = Field(strict=True)
    products: Annotated[list[StockLine], FailFast()] = Field(default_factory=list)


def claim_of(message: Message, event: StockUpdated | StockRollback) -> Claim:
    return Claim(event.order_id, merge(line.line() for line in event.products), message.identity)


class RejectedLine(BaseModel):
    """A line of `stock.rejected`, merged per product."""

    product_id: int
    quantity: int


class StockRejected(BaseModel):
    """`stock.rejected`: nothing was taken for the order. `reason` is the first refusal, `event_time` is in UTC."""

    order_id: int
    products: list[RejectedLine]
    reason: str
    event_time: datetime

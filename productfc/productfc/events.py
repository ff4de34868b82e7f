"""The event that productfc publishes, and of others' events only the fields that it reads."""

from datetime import datetime

from pydantic import AliasChoices, BaseModel, Field

from chassis.ids import PositiveId
from productfc.model import Line

STOCK_UPDATED = "stock.updated"
STOCK_ROLLBACK = "stock.rollback"
STOCK_REJECTED = "stock.rejected"

PUBLISHED = (STOCK_REJECTED,)
CONSUMED = (STOCK_UPDATED, STOCK_ROLLBACK)


def order_key(order_id: int) -> str:
    """Give the Kafka key of everything that concerns an order."""
    return f"order-{order_id}"


class StockLine(BaseModel):
    """A line of the stock events; the Go services also call the quantity `qty`."""

    product_id: PositiveId = Field(strict=True)
    quantity: int = Field(strict=True, ge=1, le=2**31 - 1, validation_alias=AliasChoices("quantity", "qty"))

    def line(self) -> Line:
        """Give the line as the domain has it."""
        return Line(self.product_id, self.quantity)


class StockUpdated(BaseModel):
    """What is read of `stock.updated`: an order wants these products."""

    order_id: PositiveId = Field(strict=True)
    products: list[StockLine] = Field(min_length=1)


class StockRollback(BaseModel):
    """What is read of `stock.rollback`: an order gives back whatever it holds; the products only mark a tombstone."""

    order_id: PositiveId = Field(strict=True)
    products: list[StockLine] = Field(default_factory=list)


class RejectedLine(BaseModel):
    """A line of `stock.rejected`, merged per product."""

    product_id: int
    quantity: int


class StockRejected(BaseModel):
    """`stock.rejected`: nothing was taken for the order, and the first reason why. `event_time` is in UTC."""

    order_id: int
    products: list[RejectedLine]
    reason: str
    event_time: datetime

"""The queries and answers of orderfc's routes for administrators."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, Field

from chassis.http.id_lists import id_list, ids_pattern
from chassis.ids import PathId, digits
from chassis.money import Money
from chassis.times import TimeParam, UtcTime
from orderfc.handler.schemas import STATUS_NAMES, StatusName
from orderfc.model import Status
from orderfc.repository.admin_orders import Filter, Page

MAX_IDS = 100


def _wire(value: Any) -> Any:
    return Status(value).wire if isinstance(value, int) else value


def _status(value: Any) -> Any:
    if value not in STATUS_NAMES:
        raise ValueError(f"should be one of {', '.join(STATUS_NAMES)}")
    return value


StoredStatus = Annotated[StatusName, BeforeValidator(_wire)]


class OrdersQuery(BaseModel):
    """The query of GET /v1/admin/orders."""

    status: Annotated[StatusName, BeforeValidator(_status)] | None = None
    user_id: PathId | None = None
    product_id: PathId | None = Field(None, description="Only orders with this product")
    ids: Annotated[str, Field(json_schema_extra={"pattern": ids_pattern(MAX_IDS)})] | None = Field(
        None, description="Only these orders: up to 100 ids, separated by commas", examples=["1001,1002"]
    )
    created_from: TimeParam | None = Field(None, description="Only orders of this time and later")
    created_to: TimeParam | None = Field(None, description="Only orders before this time")
    before_id: PathId | None = Field(None, description="`next_before_id` of the page before")
    limit: Annotated[int, Field(ge=1, le=100), BeforeValidator(digits)] = 20

    def filter(self) -> Filter:
        """Raises Invalid when `ids` is no list of ids."""
        status = None if self.status is None else Status[self.status.upper()]
        ids = None if self.ids is None else id_list(self.ids, what="orders", most=MAX_IDS)
        return Filter(status, self.user_id, self.created_from, self.created_to, self.product_id, ids)


class OrderSummary(BaseModel):
    """An order in a list."""

    order_id: int = Field(examples=[1001])
    user_id: int = Field(examples=[7])
    status: StoredStatus
    total_amount: Money = Field(examples=[90000])
    total_qty: int = Field(examples=[2])
    currency: str = Field(examples=["IDR"])
    payment_method: str = Field(examples=["BANK_TRANSFER"])
    created_at: UtcTime = Field(examples=["2026-11-25T08:30:00.125Z"])
    updated_at: UtcTime = Field(examples=["2026-11-25T08:31:00.250Z"])


class OrderPage(BaseModel):
    """Orders, newest first.

    A page may have fewer orders than its limit and still have a next one, where many do not fit the filters.
    """

    items: list[OrderSummary]
    next_before_id: int | None = Field(description="Where the next page begins; null at the end", examples=[1001])

    @classmethod
    def of(cls, page: Page) -> Self:
        items = [OrderSummary.model_validate({**row, "order_id": row["id"]}) for row in page.rows]
        return cls(items=items, next_before_id=page.next_before_id)


class AdminLine(BaseModel):
    """A line of an order, with name and price of the time of its checkout."""

    product_id: int = Field(examples=[1])
    name: str = Field(examples=["Ceramic Mug"])
    quantity: int = Field(examples=[2])
    price: Money = Field(examples=[45000])


class AdminStep(BaseModel):
    """A status of the order, why it was entered, and when."""

    status: StoredStatus
    cause: str = Field(examples=["checkout"])
    timestamp: UtcTime = Field(examples=["2026-11-25T08:30:00.125Z"])


class AdminOrder(OrderSummary):
    """All that is stored of an order, its history with the oldest step first."""

    shipping_address: str = Field(examples=["Jalan Merdeka 1, Jakarta"])
    lines: list[AdminLine]
    history: list[AdminStep]

"""The bodies of orderfc's HTTP routes."""

import hashlib
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, Field

from chassis.ids import PositiveId, Text, TrimmedText
from chassis.money import Amount, Money
from chassis.times import UtcTime
from orderfc.model import MAX_LINES, MAX_QUANTITY, BasketLine, Status

STATUS_NAMES = [status.wire for status in Status]
StatusName = Annotated[str, Field(json_schema_extra={"enum": STATUS_NAMES})]


class CheckoutItem(BaseModel):
    """A line of the basket. `price` is the price that the customer saw; it must be the current one."""

    product_id: PositiveId = Field(strict=True, examples=[1])
    quantity: int = Field(strict=True, ge=1, le=MAX_QUANTITY, examples=[2])
    price: Amount | None = Field(None, examples=[45000])

    def line(self) -> BasketLine:
        return BasketLine(self.product_id, self.quantity, self.price)


class CheckoutBody(BaseModel):
    """The body of POST /v1/orders/checkout. Other fields, such as `user_id`, are ignored."""

    items: list[CheckoutItem] = Field(min_length=1, max_length=MAX_LINES)
    payment_method: Annotated[TrimmedText, Field(min_length=1, max_length=64)] = Field(examples=["BANK_TRANSFER"])
    shipping_address: Annotated[TrimmedText, Field(min_length=1, max_length=1000)] = Field(
        examples=["Jalan Merdeka 1, Jakarta"]
    )
    idempotency_token: Annotated[Text, Field(min_length=1, max_length=255)] | None = Field(
        None, description="The same as the header Idempotency-Key"
    )

    def request_hash(self) -> bytes:
        """Return the SHA-256 (32 bytes) of the validated JSON value without the key."""
        value = self.model_dump(mode="json", exclude={"idempotency_token"})
        return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).digest()


class CheckoutAnswer(BaseModel):
    """The answer of a checkout, also of a replayed one."""

    message: Literal["Order created successfully"] = "Order created successfully"
    order_id: int = Field(examples=[1001])


class CancelBody(BaseModel):
    """The body of POST /v1/orders/{id}/cancel."""

    reason: Annotated[TrimmedText, Field(min_length=1, max_length=255)] = Field(
        "cancelled on request", description="Why, for whoever looks at the order later", examples=["ordered by mistake"]
    )


class LineView(BaseModel):
    """A line of an order, at the price of its checkout."""

    product_id: int = Field(examples=[1])
    quantity: int = Field(examples=[2])
    price: Money = Field(examples=[45000])


class StepView(BaseModel):
    """A status of the order, and the time (UTC) when it was entered."""

    status: StatusName
    timestamp: UtcTime = Field(examples=["2026-11-25T08:30:00.125000Z"])


# For the OpenAPI document only: the repository's statement makes the JSON.
class OrderView(BaseModel):
    """An order with its lines and its history, oldest step first."""

    order_id: int = Field(examples=[1001])
    total_amount: Money = Field(examples=[90000])
    total_qty: int = Field(examples=[2])
    payment_method: str = Field(examples=["BANK_TRANSFER"])
    shipping_address: str = Field(examples=["Jalan Merdeka 1, Jakarta"])
    products: list[LineView]
    history: list[StepView]
    status: StatusName

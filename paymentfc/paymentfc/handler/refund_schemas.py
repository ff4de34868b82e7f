"""The queries, bodies and answers of the routes of refunds."""

import asyncio
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic.types import StringConstraints

from chassis.http.dependencies import state
from chassis.ids import PathId, Text, TrimmedText
from chassis.money import Amount, Money
from chassis.times import UtcTime
from paymentfc.handler.admin_schemas import PageQuery, PageView
from paymentfc.handler.schemas import Number, Short, read_body
from paymentfc.model.refund import Cause, RefundCallback, RefundStatus

WakeRefunds = Annotated[asyncio.Event, state("wake_refunds")]
Reason = Annotated[TrimmedText, Field(min_length=1, max_length=1000)]


class RefundQuery(PageQuery):
    """The page and filters of the list of refunds."""

    status: RefundStatus | None = None
    order_id: PathId | None = None


class RefundRequest(BaseModel):
    """A refund to make. Without `amount` all that was paid and is not given back; null is refused."""

    amount: Annotated[Amount, Field(gt=0)] | SkipJsonSchema[None] = Field(None, examples=[45000])
    reason: Reason = Field(examples=["one of two mugs was broken"])

    @field_validator("amount", mode="before")
    @classmethod
    def _stated(cls, amount: object) -> object:
        if amount is None:
            raise ValueError("Leave it out to give back all")
        return amount


class Settlement(BaseModel):
    """How the money was given back."""

    note: Reason = Field(examples=["bank transfer of 25 November"])


class RefundData(BaseModel):
    """A refund as a callback tells it."""

    model_config = ConfigDict(extra="ignore")

    id: Short = Field(examples=["rfd-6f4a377d-a201-437f-9119-f8b00cbbe857"])
    reference_id: Short | None = Field(None, examples=["refund-4"])
    status: Short = Field(examples=["SUCCEEDED"])
    amount: Number = Field(examples=[90000])
    currency: Annotated[Text, StringConstraints(strict=True, max_length=16)] | None = Field(None, examples=["IDR"])


def _unwrapped(value: object) -> object:
    """Return the refund itself: a sample of Xendit's documents has it in a second envelope."""
    inner = value.get("data") if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else value


class RefundCallbackBody(BaseModel):
    """A refund callback of Xendit: `refund.succeeded` or `refund.failed`. Unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    event: Short = Field(examples=["refund.succeeded"])
    data: Annotated[RefundData, BeforeValidator(_unwrapped)]


def read_refund_callback(body: bytes) -> tuple[RefundCallback, str]:
    """Return the callback and the text of its body. Raises NotACallback, which names the field."""
    fields, text = read_body(body, RefundCallbackBody)
    data = fields.data
    return RefundCallback(data.id, data.reference_id, data.status, data.amount, data.currency or ""), text


class RefundView(BaseModel):
    """Money that is to be given back, or that was, and why."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(examples=[4])
    order_id: int = Field(examples=[1001])
    invoice_id: str = Field(examples=["6748105a77f16ebe0cc583a7"])
    payment_id: int = Field(examples=[12])
    amount: Money = Field(examples=[90000])
    currency: str = Field(examples=["IDR"])
    cause: Cause
    status: RefundStatus
    failure_code: str | None = Field(examples=[None])
    attempts: int = Field(examples=[0])
    note: str | None = Field(examples=["bank transfer of 25 November"])
    create_time: UtcTime = Field(examples=["2026-11-25T08:45:12Z"])
    update_time: UtcTime = Field(examples=["2026-11-25T10:00:00Z"])


RefundList = PageView[RefundView]

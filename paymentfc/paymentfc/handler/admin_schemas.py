"""The queries and answers of paymentfc's routes for administrators."""

from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import orjson
from pydantic import AliasPath, BaseModel, BeforeValidator, ConfigDict, Field

from chassis.ids import PathId, TrimmedText, digits
from chassis.money import Money
from chassis.times import UtcTime
from paymentfc.model.callback import AnomalyKind
from paymentfc.model.payment import Status
from paymentfc.repository.audit import AuditEvent
from paymentfc.repository.pages import Page

T = TypeVar("T")


def _json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str) else value


class PageQuery(BaseModel):
    """The page of a list to read."""

    page: PathId = 1
    page_size: Annotated[int, Field(ge=1, le=100), BeforeValidator(digits)] = 20


class AnomalyQuery(PageQuery):
    """The page and filter of the list of anomalies."""

    resolved: bool | None = Field(None, description="Only those that are resolved, or only those that are not")


class AuditQuery(PageQuery):
    """The page and filters of the audit log."""

    order_id: PathId | None = None
    event: AuditEvent | None = None


class PageView(BaseModel, Generic[T]):
    """One page of a list, newest first; `total` counts all pages."""

    model_config = ConfigDict(from_attributes=True)

    items: list[T]
    total: int = Field(examples=[1])
    page: int = Field(validation_alias=AliasPath("number"), examples=[1])
    page_size: int = Field(validation_alias=AliasPath("size"), examples=[20])


class FailedPayment(BaseModel):
    """A payment that was closed unpaid; `notes` says why."""

    id: int = Field(examples=[12])
    order_id: int = Field(examples=[1001])
    user_id: int = Field(examples=[7])
    amount: Money = Field(examples=[90000])
    user_email: str | None = Field(examples=["alice@example.com"])
    status: Status = Field(examples=["EXPIRED"])
    retry_count: int = Field(examples=[0])
    notes: str = Field(examples=["expired"])
    create_time: UtcTime = Field(examples=["2026-11-25T08:30:01Z"])
    update_time: UtcTime = Field(examples=["2026-11-26T08:30:05Z"])


class FailedPayments(BaseModel):
    """A page of failed payments; `total_failed_payments` counts all of them."""

    total_failed_payments: int = Field(examples=[1])
    payment_list: list[FailedPayment]

    @classmethod
    def of(cls, page: Page[dict[str, Any]]) -> "FailedPayments":
        rows = [FailedPayment.model_validate(row) for row in page.items]
        return cls(total_failed_payments=page.total, payment_list=rows)


class AnomalyView(BaseModel):
    """A contradiction between Xendit and our records, and what was done about it."""

    id: int = Field(examples=[3])
    order_id: int | None = Field(examples=[1001])
    external_id: str = Field(examples=["order-1001"])
    kind: AnomalyKind
    expected: str = Field(examples=["90000"])
    received: str = Field(examples=["89000"])
    resolved_at: UtcTime | None = Field(examples=["2026-11-25T10:00:00Z"])
    note: str | None = Field(examples=["refunded by bank transfer"])
    create_time: UtcTime = Field(examples=["2026-11-25T08:45:12Z"])


class Resolution(BaseModel):
    """What was done about an anomaly."""

    note: Annotated[TrimmedText, Field(min_length=1, max_length=1000)] = Field(examples=["refunded by bank transfer"])
    action: Literal["close"] | None = Field(
        None, description="`close` ends an order that can't end by itself", examples=["close"]
    )


class FailedEventView(BaseModel):
    """An event that was parked; `retried_at` is when it was last sent again, by an administrator or by the relay."""

    id: int = Field(examples=[5])
    event_id: UUID = Field(examples=["01a210a9-9ec2-78c3-b1f9-482d059d4740"])
    topic: str = Field(examples=["payment.success"])
    key: str = Field(examples=["order-1001"])
    payload: Annotated[dict[str, Any], BeforeValidator(_json)] = Field(
        examples=[{"order_id": 1001, "status": "PAID", "topic": "payment.success"}]
    )
    error: str | None = Field(examples=["the broker does not answer"])
    attempts: int = Field(examples=[12])
    retried_at: UtcTime | None = Field(examples=["2026-11-25T09:05:00Z"])
    create_time: UtcTime = Field(examples=["2026-11-25T08:31:00Z"])


class AuditEntry(BaseModel):
    """One recorded step of a payment."""

    event_id: UUID = Field(examples=["01a210a9-9ec2-78c3-b1f9-482d059d4740"])
    order_id: int | None = Field(examples=[1001])
    payment_id: int | None = Field(examples=[12])
    user_id: int | None = Field(examples=[7])
    external_id: str | None = Field(examples=["order-1001"])
    event: str = Field(examples=[AuditEvent.PAYMENT_PAID.value])
    actor: str = Field(examples=["webhook"])
    metadata: dict[str, Any] = Field(examples=[{"invoice_id": "6748105a77f16ebe0cc583a7"}])
    create_time: UtcTime = Field(examples=["2026-11-25T08:31:00Z"])
    prev_hash: str | None = Field(
        None, description="`hash` of the order's previous entry; 64 zeros for the first", examples=["0" * 64]
    )
    hash: str | None = Field(
        None,
        description="SHA-256 of this entry in hexadecimal; null in entries of versions without it",
        examples=["6b1f9d1c5f3d2d4a9c55f1f0c1f6dd0f5f7b8f9fb0ff0a8a1f7c3f6a0a5e1c11"],
    )


AnomalyList = PageView[AnomalyView]
FailedEventList = PageView[FailedEventView]
AuditList = PageView[AuditEntry]

"""The shapes of paymentfc's lists for administrators."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import orjson
from pydantic import AfterValidator, AliasPath, BaseModel, BeforeValidator, ConfigDict, Field

from chassis.ids import PositiveId, TrimmedText
from chassis.money import Money
from paymentfc.model import AnomalyKind, Status
from paymentfc.repository.audit import AuditEvent
from paymentfc.repository.pages import Page

T = TypeVar("T")


def _json(value: Any) -> Any:  # noqa: ANN401 - a validator takes what comes
    return orjson.loads(value) if isinstance(value, str) else value


UtcTime = Annotated[datetime, AfterValidator(lambda time: time.astimezone(UTC))]


class PageQuery(BaseModel):
    """Which page is wanted."""

    page: PositiveId = 1
    page_size: Annotated[int, Field(ge=1, le=100)] = 20


class AnomalyQuery(PageQuery):
    """Which anomalies are wanted."""

    resolved: bool | None = Field(None, description="Only those that are resolved, or only those that are not")


class AuditQuery(PageQuery):
    """Which audit entries are wanted."""

    order_id: PositiveId | None = None
    event: AuditEvent | None = None


class PageView(BaseModel, Generic[T]):
    """One page of a list, newest first; `total` counts all pages."""

    model_config = ConfigDict(from_attributes=True)

    items: list[T]
    total: int
    page: int = Field(validation_alias=AliasPath("number"))
    page_size: int = Field(validation_alias=AliasPath("size"))


class FailedPayment(BaseModel):
    """A payment that was closed unpaid; `notes` says why."""

    id: int
    order_id: int
    user_id: int
    amount: Money
    user_email: str | None
    status: Status
    retry_count: int
    notes: str
    create_time: UtcTime
    update_time: UtcTime


class FailedPayments(BaseModel):
    """A page of failed payments; `total_failed_payments` counts all of them."""

    total_failed_payments: int
    payment_list: list[FailedPayment]

    @classmethod
    def of(cls, page: Page[dict[str, Any]]) -> "FailedPayments":
        """Show a page of rows."""
        rows = [FailedPayment.model_validate(row) for row in page.items]
        return cls(total_failed_payments=page.total, payment_list=rows)


class AnomalyView(BaseModel):
    """Something that a person has to look at, and what was done about it."""

    id: int
    order_id: int | None
    external_id: str
    kind: AnomalyKind
    expected: str
    received: str
    resolved_at: UtcTime | None
    note: str | None
    create_time: UtcTime


class Resolution(BaseModel):
    """What was done about an anomaly."""

    note: Annotated[TrimmedText, Field(min_length=1, max_length=1000)] = Field(examples=["refunded by bank transfer"])


class FailedEventView(BaseModel):
    """An event that was parked; `retried_at` is when it was last sent again, by a person or by itself."""

    id: int
    event_id: UUID
    topic: str
    key: str
    payload: Annotated[dict[str, Any], BeforeValidator(_json)]
    error: str | None
    attempts: int
    retried_at: UtcTime | None
    create_time: UtcTime


class AuditEntry(BaseModel):
    """One step of a payment's life."""

    event_id: UUID
    order_id: int | None
    payment_id: int | None
    user_id: int | None
    external_id: str | None
    event: str
    actor: str
    metadata: dict[str, Any]
    create_time: UtcTime


AnomalyList = PageView[AnomalyView]
FailedEventList = PageView[FailedEventView]
AuditList = PageView[AuditEntry]

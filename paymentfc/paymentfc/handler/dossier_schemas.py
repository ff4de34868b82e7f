"""The queries and answers of the routes that show an administrator what is stored about payments."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from chassis.ids import Text
from chassis.money import Money
from chassis.times import UtcTime
from paymentfc.model.callback import AnomalyKind, Outcome
from paymentfc.model.payment import Status
from paymentfc.model.refund import Cause, RefundStatus
from paymentfc.repository.requests import RequestStatus

INVOICE = "6748105a77f16ebe0cc583a7"
TIME = "2026-11-25T08:30:01Z"

ByText = Annotated[Text, StringConstraints(min_length=1, max_length=255)]


class LookUp(BaseModel):
    """The query of GET /v1/admin/payments: one of the two."""

    invoice_id: ByText | None = Field(None, examples=[INVOICE])
    external_id: ByText | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.invoice_id is None) == (self.external_id is None):
            raise ValueError("Give either invoice_id or external_id")
        return self


class PaymentFacts(BaseModel):
    """The payment of an order."""

    id: int = Field(examples=[12])
    order_id: int = Field(examples=[1001])
    user_id: int = Field(examples=[7])
    user_email: str | None = Field(examples=["alice@example.com"])
    external_id: str = Field(examples=["order-1001"])
    amount: Money = Field(examples=[90000])
    currency: str = Field(examples=["IDR"])
    status: Status
    reason: str | None = Field(examples=[None])
    payment_method: str = Field(examples=["BANK_TRANSFER"])
    invoice_id: str | None = Field(examples=[INVOICE])
    invoice_url: str | None = Field(examples=[f"https://checkout.xendit.co/web/{INVOICE}"])
    invoice_time: UtcTime | None = Field(examples=[TIME])
    expires_at: UtcTime | None = Field(examples=["2026-11-26T08:30:01Z"])
    paid_at: UtcTime | None = Field(examples=[None])
    late_paid_at: UtcTime | None = Field(description="When money came for a closed payment", examples=[None])
    receipt: str | None = Field(examples=[None])
    retry_count: int = Field(examples=[0])
    traceparent: str | None = Field(examples=["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"])
    sweep_after: UtcTime | None = Field(description="The next look at an invoice that has ended", examples=[None])
    check_after: UtcTime | None = Field(description="The next look at an open invoice", examples=[None])
    create_time: UtcTime = Field(examples=[TIME])
    update_time: UtcTime = Field(examples=[TIME])


class RequestFacts(BaseModel):
    """The request for an invoice; it is purged some time after it has ended."""

    status: RequestStatus
    attempts: int = Field(examples=[1])
    tries: int = Field(description="Refusals of Xendit", examples=[0])
    last_error: str | None = Field(examples=[None])
    next_attempt_at: UtcTime = Field(examples=[TIME])
    lease_until: UtcTime | None = Field(examples=[None])
    create_time: UtcTime = Field(examples=[TIME])
    update_time: UtcTime = Field(examples=[TIME])


class RejectionFacts(BaseModel):
    """stock.rejected came before the order's payment was there."""

    reason: str = Field(examples=["insufficient_stock"])
    create_time: UtcTime = Field(examples=[TIME])


class CallbackFacts(BaseModel):
    """A callback of Xendit; `deliveries` counts how often it came."""

    id: int = Field(examples=[31])
    invoice_id: str = Field(examples=[INVOICE])
    status: str = Field(examples=["PAID"])
    amount: str = Field(examples=["90000"])
    currency: str = Field(examples=["IDR"])
    outcome: Outcome
    deliveries: int = Field(examples=[1])
    receipt: str | None = Field(examples=[None])
    create_time: UtcTime = Field(examples=[TIME])
    applied_time: UtcTime | None = Field(examples=[TIME])


class ConfirmationFacts(BaseModel):
    """Xendit is asked about an invoice before its callbacks take effect."""

    invoice_id: str = Field(examples=[INVOICE])
    looks: int = Field(examples=[1])
    last_error: str | None = Field(examples=[None])
    due_at: UtcTime = Field(examples=[TIME])
    create_time: UtcTime = Field(examples=[TIME])


class ReceiptFacts(BaseModel):
    """A payment of the invoice that a callback has named."""

    id: int = Field(examples=[5])
    invoice_id: str = Field(examples=[INVOICE])
    receipt: str = Field(examples=["ewc_99013716-9354-439e-9fea-e61a06e87ea3"])
    amount: str = Field(examples=["90000"])
    currency: str = Field(examples=["IDR"])
    create_time: UtcTime = Field(examples=[TIME])


class AnomalyFacts(BaseModel):
    """A contradiction between Xendit and our records; `paid`: money came with it."""

    id: int = Field(examples=[3])
    invoice_id: str = Field(examples=[INVOICE])
    kind: AnomalyKind
    expected: str = Field(examples=["90000"])
    received: str = Field(examples=["89000"])
    currency: str = Field(examples=["IDR"])
    paid: bool = Field(examples=[True])
    action: str | None = Field(examples=[None])
    resolved_at: UtcTime | None = Field(examples=[None])
    note: str | None = Field(examples=[None])
    create_time: UtcTime = Field(examples=[TIME])


class RefundFacts(BaseModel):
    """Money of the order that is to be given back, or that was."""

    id: int = Field(examples=[4])
    invoice_id: str = Field(examples=[INVOICE])
    amount: Money = Field(examples=[90000])
    currency: str = Field(examples=["IDR"])
    cause: Cause
    status: RefundStatus
    failure_code: str | None = Field(examples=[None])
    gateway_id: str | None = Field(description="Xendit's id of it", examples=[None])
    attempts: int = Field(examples=[0])
    last_error: str | None = Field(examples=[None])
    due_at: UtcTime = Field(description="The next try or look", examples=[TIME])
    note: str | None = Field(examples=[None])
    requested_at: UtcTime | None = Field(examples=[None])
    create_time: UtcTime = Field(examples=[TIME])
    update_time: UtcTime = Field(examples=[TIME])


class ClosingFacts(BaseModel):
    """An invoice that has to be expired at Xendit."""

    invoice_id: str = Field(examples=[INVOICE])
    step: Literal["expire", "look_again", "done"]
    attempts: int = Field(examples=[0])
    last_error: str | None = Field(examples=[None])
    due_at: UtcTime = Field(examples=[TIME])
    done_at: UtcTime | None = Field(examples=[None])
    create_time: UtcTime = Field(examples=[TIME])


class Dossier(BaseModel):
    """All that is stored about an order: at most 50 rows of each kind."""

    payment: PaymentFacts | None
    request: RequestFacts | None
    rejection: RejectionFacts | None
    callbacks: list[CallbackFacts]
    confirmations: list[ConfirmationFacts]
    receipts: list[ReceiptFacts]
    anomalies: list[AnomalyFacts]
    refunds: list[RefundFacts]
    closings: list[ClosingFacts]

    @property
    def is_empty(self) -> bool:
        return not any(getattr(self, name) for name in type(self).model_fields)

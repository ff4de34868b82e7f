"""The query and answer of the route that lists what is open besides unpaid orders."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from chassis.ids import digits
from chassis.times import UtcTime
from paymentfc.handler.dossier_schemas import (
    TIME,
    AnomalyFacts,
    CallbackFacts,
    ClosingFacts,
    ConfirmationFacts,
    RefundFacts,
)

EXTERNAL_ID = "order-1001"


class OpenItemsQuery(BaseModel):
    """The query of GET /v1/admin/payments/open-items."""

    limit: Annotated[int, Field(ge=1, le=100, description="Of each kind"), BeforeValidator(digits)] = 20


class OpenCallback(CallbackFacts):
    """A callback whose payment is not there yet."""

    external_id: str = Field(examples=[EXTERNAL_ID])


class OpenConfirmation(ConfirmationFacts):
    """An invoice that Xendit is asked about before its callbacks take effect."""

    external_id: str = Field(examples=[EXTERNAL_ID])


class OpenAnomaly(AnomalyFacts):
    """An anomaly that nobody has resolved. `holds`: its order is open, and can't end before its invoice does."""

    order_id: int | None = Field(examples=[1001])
    external_id: str = Field(examples=[EXTERNAL_ID])
    holds: bool = Field(examples=[True])
    expires_at: UtcTime | None = Field(description="The end of the invoice", examples=[TIME])
    has_refund: bool = Field(description="Money of its payment is to be given back, or was", examples=[False])


class OpenRefund(RefundFacts):
    """A refund that is DUE, REQUESTED, FAILED or MANUAL."""

    order_id: int = Field(examples=[1001])


class OpenClosing(ClosingFacts):
    """An invoice of a finished order that is not expired at Xendit yet."""

    external_id: str = Field(examples=[EXTERNAL_ID])


class OpenItems(BaseModel):
    """The oldest of each kind, oldest first. A list with as many rows as the limit may have more."""

    callbacks: list[OpenCallback]
    confirmations: list[OpenConfirmation]
    anomalies: list[OpenAnomaly]
    refunds: list[OpenRefund]
    closings: list[OpenClosing]

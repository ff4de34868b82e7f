"""The query and answer of the route that lists open payments by what they wait for."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Self

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from chassis.ids import digits
from chassis.money import Money
from chassis.times import UtcTime
from paymentfc.handler.dossier_schemas import INVOICE, TIME, AnomalyFacts
from paymentfc.model.payment import MAX_ID
from paymentfc.repository.dossiers import Place, Step
from paymentfc.repository.requests import RequestStatus

_PLACE = re.compile(r"([0-9]{1,17})-([0-9]{1,19})", re.ASCII)


def _place(text: str) -> str:
    found = _PLACE.fullmatch(text)
    if found is None or int(found[2]) > MAX_ID:
        raise ValueError("should be `next_after` of the page before")
    return text


class WaitingQuery(BaseModel):
    """The query of GET /v1/admin/payments/waiting."""

    step: Step = Field(
        description="`invoice`: none was made yet. `customer`: it can be paid. `expiry`: it has ended without a result"
    )
    after: (
        Annotated[str, AfterValidator(_place), Field(json_schema_extra={"pattern": f"^{_PLACE.pattern}$"})] | None
    ) = Field(None, description="`next_after` of the page before")
    limit: Annotated[int, Field(ge=1, le=100), BeforeValidator(digits)] = 20

    def place(self) -> Place:
        if self.after is None:
            return Place()
        microseconds, _, row_id = self.after.partition("-")
        seconds, rest = divmod(int(microseconds), 1_000_000)
        return Place(datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest), int(row_id))


class WaitingPayment(BaseModel):
    """An open payment that waits; `request` and what follows it are null once there is an invoice."""

    order_id: int = Field(examples=[1001])
    user_id: int = Field(examples=[7])
    amount: Money = Field(examples=[90000])
    currency: str = Field(examples=["IDR"])
    moment: UtcTime = Field(description="The next try, or the end of the invoice", examples=["2026-11-26T08:30:01Z"])
    invoice_id: str | None = Field(examples=[INVOICE])
    invoice_url: str | None = Field(examples=[f"https://checkout.xendit.co/web/{INVOICE}"])
    invoice_time: UtcTime | None = Field(examples=[TIME])
    expires_at: UtcTime | None = Field(examples=["2026-11-26T08:30:01Z"])
    sweep_after: UtcTime | None = Field(description="The next look at an invoice that has ended", examples=[None])
    create_time: UtcTime = Field(examples=[TIME])
    request: RequestStatus | None
    attempts: int | None = Field(examples=[1])
    tries: int | None = Field(description="Refusals of Xendit", examples=[0])
    last_error: str | None = Field(examples=["Xendit does not answer"])
    wrong_money: AnomalyFacts | None = Field(
        description="Money of a wrong amount, which holds the order", examples=[None]
    )

    @classmethod
    def of(cls, row: Any) -> Self:
        text = row["wrong_money"]
        return cls.model_validate({**row, "wrong_money": None if text is None else orjson.loads(text)})


class WaitingPage(BaseModel):
    """Payments that wait for one step, those first whose turn comes first."""

    items: list[WaitingPayment]
    next_after: str | None = Field(
        description="Where the next page begins; null at the end", examples=["1795681801000000-12"]
    )

    @classmethod
    def of(cls, rows: Sequence[Any], limit: int) -> Self:
        following = _text(rows[-1]) if len(rows) == limit else None
        return cls(items=[WaitingPayment.of(row) for row in rows], next_after=following)


def _text(row: Any) -> str:
    moment: datetime = row["moment"]
    return f"{int(moment.timestamp()) * 1_000_000 + moment.microsecond}-{row['id']}"

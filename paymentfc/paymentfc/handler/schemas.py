"""The HTTP bodies of paymentfc."""

import hashlib
import json
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.types import StringConstraints

from chassis.ids import PositiveId, Text
from chassis.money import Money
from paymentfc.errors import NotACallback
from paymentfc.model.callback import Callback
from paymentfc.model.payment import Payment, Status
from paymentfc.model.refund import RefundStatus

MAX_DIGITS = 40
MAX_BYTES = 255


def _number(value: object) -> object:
    """Accept finite JSON numbers of a bounded size only: text is not an amount."""
    if isinstance(value, bool) or not isinstance(value, Decimal):
        raise ValueError("must be a number")
    if not value.is_finite() or len(value.as_tuple().digits) > MAX_DIGITS or abs(value.adjusted()) > 1_000_000:
        raise ValueError(f"must be a finite number of at most {MAX_DIGITS} digits")
    return value


def _bounded(text: str) -> str:
    """Return a text of at most 255 bytes: an index holds it. A longer one keeps its beginning and its SHA-256."""
    if len(text.encode()) <= MAX_BYTES:
        return text
    return f"{text[:40]}…{hashlib.sha256(text.encode()).hexdigest()}"


B = TypeVar("B", bound=BaseModel)
Number = Annotated[Decimal, BeforeValidator(_number, json_schema_input_type=float)]
Short = Annotated[Text, StringConstraints(strict=True, min_length=1, max_length=255), AfterValidator(_bounded)]


class CallbackBody(BaseModel):
    """An invoice callback of Xendit; unknown fields are kept in the stored body and otherwise ignored."""

    model_config = ConfigDict(extra="ignore")

    id: Short = Field(examples=["6748105a77f16ebe0cc583a7"])
    external_id: Short = Field(examples=["order-1001"])
    status: Short = Field(examples=["PAID"])
    amount: Number = Field(examples=[90000])
    paid_amount: Number | None = Field(None, examples=[90000])
    currency: Annotated[Text, StringConstraints(strict=True, max_length=16)] | None = Field(None, examples=["IDR"])
    payment_id: Short | None = Field(None, examples=["ewc_99013716-9354-439e-9fea-e61a06e87ea3"])


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def read_body(body: bytes, model: type[B]) -> tuple[B, str]:
    """Return the fields of a callback and the text of its body. Raises NotACallback, which names the field."""
    try:
        text = body.decode()
        parsed = json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=_no_constant)
        fields = model.model_validate(parsed)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise NotACallback(f"{where}: {str(first['msg']).removeprefix('Value error, ')}") from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise NotACallback from error
    return fields, text


def read_callback(body: bytes) -> tuple[Callback, str]:
    """Return the callback and the text of its body. Raises NotACallback, which names the field."""
    fields, text = read_body(body, CallbackBody)
    callback = Callback(
        invoice_id=fields.id,
        external_id=fields.external_id,
        status=fields.status,
        amount=fields.amount,
        paid_amount=fields.paid_amount,
        currency=fields.currency or "",
        receipt=fields.payment_id,
    )
    return callback, text


class Processed(BaseModel):
    """The answer to a callback."""

    message: Literal["webhook processed"] = "webhook processed"


class InvoiceRequest(BaseModel):
    """The order to invoice; amount and payer come from our own records."""

    order_id: PositiveId = Field(strict=True, examples=[1001])


class InvoiceView(BaseModel):
    """The invoice to pay."""

    id: str = Field(examples=["6748105a77f16ebe0cc583a7"])
    invoice_url: str = Field(examples=["https://checkout.xendit.co/web/6748105a77f16ebe0cc583a7"])
    status: Status

    @classmethod
    def of(cls, payment: Payment) -> "InvoiceView":
        return cls(id=payment.invoice_id or "", invoice_url=payment.invoice_url or "", status=payment.status)


class RefundSum(BaseModel):
    """Money of the order that is given back, or is to be: the sum, and of several the status furthest from an end."""

    model_config = ConfigDict(from_attributes=True)

    status: RefundStatus
    amount: Money = Field(examples=[90000])


class PaymentView(BaseModel):
    """A payment as its owner sees it; `invoice_url` is null until the invoice exists."""

    model_config = ConfigDict(from_attributes=True)

    order_id: int = Field(examples=[1001])
    status: Status
    amount: Money = Field(examples=[90000])
    currency: str = Field(examples=["IDR"])
    external_id: str = Field(examples=["order-1001"])
    invoice_id: str | None = Field(examples=["6748105a77f16ebe0cc583a7"])
    invoice_url: str | None = Field(examples=["https://checkout.xendit.co/web/6748105a77f16ebe0cc583a7"])
    expires_at: datetime | None = Field(examples=["2026-11-26T08:30:01Z"])
    paid_at: datetime | None = Field(examples=[None])
    reason: str | None = Field(examples=[None])
    create_time: datetime = Field(examples=["2026-11-25T08:30:01Z"])
    update_time: datetime = Field(examples=["2026-11-25T08:30:01Z"])
    refund: RefundSum | None = None

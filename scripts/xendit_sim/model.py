"""An invoice and its two forms: the object of the API and the flat body of the webhook."""

import secrets
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

Clock = Callable[[], datetime]
Number = int | float

USER_ID = "62440e322008e87fb29c1fd0"
MERCHANT = "Go Commerce"
PICTURE = "https://xnd-merchant-logos.s3.amazonaws.com/business/development/none.jpeg"
ECHOED = (
    "payer_email",
    "description",
    "locale",
    "items",
    "fees",
    "customer",
    "customer_notification_preference",
    "success_redirect_url",
    "failure_redirect_url",
    "should_authenticate_credit_card",
    "channel_properties",
    "metadata",
)
IN_WEBHOOK = ("payer_email", "description", "items", "fees", "success_redirect_url", "failure_redirect_url")


class Status(StrEnum):
    """The status of an invoice; a failed payment leaves it PENDING."""

    PENDING = "PENDING"
    PAID = "PAID"
    SETTLED = "SETTLED"
    EXPIRED = "EXPIRED"


def utc_now() -> datetime:
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """Write a time as Xendit does: UTC, milliseconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


parse_stamp = datetime.fromisoformat
"""Reads a time that `stamp` wrote."""


def new_id(now: datetime) -> str:
    """Return 24 hexadecimal digits that begin with the time, like a MongoDB ObjectId."""
    return f"{int(now.timestamp()):08x}{secrets.token_hex(8)}"


@dataclass
class Payment:
    """A payment of an invoice; an invoice may have several."""

    amount: Number
    currency: str
    paid_at: str
    payment_id: str = field(default_factory=lambda: f"va_{uuid.uuid4()}")
    method: str = "BANK_TRANSFER"
    channel: str = "BCA"
    destination: str = field(default_factory=lambda: f"3816{secrets.randbelow(10**12):012d}")

    def fields(self) -> dict[str, Any]:
        """Return the fields that a payment adds to an invoice, in the API and in the webhook."""
        return {
            "paid_at": self.paid_at,
            "paid_amount": self.amount,
            "payment_id": self.payment_id,
            "payment_method": self.method,
            "payment_channel": self.channel,
            "payment_destination": self.destination,
            "bank_code": self.channel,
        }


@dataclass
class Invoice:
    """One invoice; times are texts as on the wire, `given` holds the optional fields of the create call."""

    id: str
    external_id: str
    amount: Number
    currency: str
    status: Status
    created: str
    updated: str
    expiry_date: str
    invoice_url: str
    given: dict[str, Any]
    payments: list[Payment] = field(default_factory=list)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Read what `document` wrote."""
        payments = [Payment(**payment) for payment in document["payments"]]
        return cls(**{**document, "status": Status(document["status"]), "payments": payments})

    def document(self) -> dict[str, Any]:
        """Return all fields as plain JSON values, for storage."""
        return asdict(self)

    def _common(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "external_id": self.external_id,
            "user_id": USER_ID,
            "status": str(self.status),
            "merchant_name": MERCHANT,
            "amount": self.amount,
            "currency": self.currency,
            "created": self.created,
            "updated": self.updated,
        }

    def shown(self) -> dict[str, Any]:
        bank = {
            "bank_code": "BCA",
            "collection_type": "POOL",
            "transfer_amount": self.amount,
            "bank_branch": "Virtual Account",
            "account_holder_name": MERCHANT.upper(),
            "identity_amount": 0,
        }
        body = self._common() | {
            "merchant_profile_picture_url": PICTURE,
            "expiry_date": self.expiry_date,
            "invoice_url": self.invoice_url,
            "available_banks": [bank],
            "available_retail_outlets": [{"retail_outlet_name": "ALFAMART"}],
            "available_ewallets": [{"ewallet_type": "OVO"}, {"ewallet_type": "DANA"}],
            "available_qr_codes": [{"qr_code_type": "QRIS"}],
            "available_direct_debits": [{"direct_debit_type": "DD_BRI"}],
            "available_paylaters": [],
            "should_exclude_credit_card": True,
            "should_send_email": bool(self.given.get("should_send_email", False)),
        }
        body |= {name: self.given[name] for name in ECHOED if name in self.given}
        if paid_by := self.paid_by:
            body |= paid_by.fields()
        return body

    @property
    def paid_by(self) -> Payment | None:
        """The one of several payments that the API shows: the first of the right amount, else the first."""
        right = (item for item in self.payments if (item.amount, item.currency) == (self.amount, self.currency))
        return next(right, self.payments[0] if self.payments else None)

    def webhook(self, status: Status, payment: Payment | None) -> dict[str, Any]:
        """Return the body of the callback: no metadata, no customer, keys by length and then by name."""
        body = self._common() | {"status": str(status), "is_high": False}
        body |= {name: self.given[name] for name in IN_WEBHOOK if name in self.given}
        if payment:
            body |= payment.fields() | {"currency": payment.currency, "updated": payment.paid_at}
        return {name: body[name] for name in sorted(body, key=lambda name: (len(name), name))}

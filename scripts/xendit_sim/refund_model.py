"""A refund and its two forms: the object of the API and the body of the webhook, in an envelope."""

import uuid
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self

from xendit_sim.model import USER_ID, Number

REASONS = ("FRAUDULENT", "DUPLICATE", "REQUESTED_BY_CUSTOMER", "CANCELLATION", "OTHERS")


class RefundStatus(StrEnum):
    """The status of a refund; only PENDING ever changes."""

    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


def new_refund_id() -> str:
    return f"rfd-{uuid.uuid4()}"


@dataclass(frozen=True)
class RefundDraft:
    """A valid call to make a refund."""

    invoice_id: str
    amount: Number
    currency: str
    reason: str
    reference_id: str | None


@dataclass(frozen=True)
class Refund:
    """One refund; times are texts as on the wire. `key` is that of the call that made it."""

    id: str
    draft: RefundDraft
    external_id: str
    payment_id: str
    channel: str
    status: RefundStatus
    created: str
    updated: str
    key: str | None = None
    failure_code: str | None = None

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Read what `document` wrote."""
        draft = RefundDraft(**document["draft"])
        return cls(**{**document, "draft": draft, "status": RefundStatus(document["status"])})

    def document(self) -> dict[str, Any]:
        """Return all fields as plain JSON values, for storage."""
        return asdict(self)

    def ended(self, status: RefundStatus, failure_code: str | None, at: str) -> Self:
        return replace(self, status=status, failure_code=failure_code, updated=at)

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "payment_id": self.payment_id,
            "invoice_id": self.draft.invoice_id,
            "amount": self.draft.amount,
            "payment_method_type": "BANK_TRANSFER",
            "channel_code": self.channel,
            "currency": self.draft.currency,
            "status": str(self.status),
            "reason": self.draft.reason,
            "reference_id": self.draft.reference_id,
            "failure_code": self.failure_code,
            "refund_fee_amount": None,
            "created": self.created,
            "updated": self.updated,
            "metadata": None,
        }

    def webhook(self) -> dict[str, Any]:
        return {
            "event": f"refund.{self.status.lower()}",
            "business_id": USER_ID,
            "created": self.updated,
            "data": self.shown(),
        }

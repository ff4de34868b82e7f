"""Refunds at Xendit: made once for an idempotency key, read, and looked up by their reference."""

import json
from typing import Any
from urllib.parse import quote, urlencode

from paymentfc.client.invoice_answer import MAX_ID, MAX_WORD, Fields
from paymentfc.client.xendit import MAX_LISTED, REFUND, REFUNDS, Xendit, number
from paymentfc.errors import GatewayUnavailable
from paymentfc.model.refund import Answer, Refund

MAX_CODE = 64


class RefundGateway:
    """Refunds at Xendit, with the bounds and failures of `Xendit`."""

    def __init__(self, xendit: Xendit) -> None:
        self._xendit = xendit

    async def create(self, refund: Refund) -> Answer:
        """Make a refund, or get the one that an earlier call has made: the key is the same.

        It may exist even when this raises GatewayUnavailable. Raises Refused.
        """
        headers = {"idempotency-key": refund.reference}
        answer = await self._xendit.call("refund", REFUNDS, _body(refund), headers)
        return _same(_read(answer), refund)

    async def get(self, refund: Refund) -> Answer:
        path = REFUND.format(refund_id=quote(refund.gateway_id or "", safe=""))
        answer = _read(await self._xendit.call("get refund", path))
        if answer.id != refund.gateway_id:
            raise GatewayUnavailable("Xendit answers with another refund")
        return _same(answer, refund)

    async def find(self, refund: Refund) -> Answer | None:
        """Return the refund with this reference, which an earlier call may have made, or None."""
        query = urlencode({"invoice_id": refund.invoice_id, "limit": MAX_LISTED})
        answer = await self._xendit.call("find refund", f"{REFUNDS}?{query}")
        listed = answer.get("data") if isinstance(answer, dict) else answer
        if not isinstance(listed, list):
            raise GatewayUnavailable("Xendit's list of refunds is not a list")
        own = [one for one in listed if isinstance(one, dict) and one.get("reference_id") == refund.reference]
        return _same(_read(own[0]), refund) if own else None


def _body(refund: Refund) -> bytes:
    body: dict[str, Any] = {
        "invoice_id": refund.invoice_id,
        "amount": number(refund.amount),
        "currency": refund.currency,
        "reason": refund.cause.reason,
        "reference_id": refund.reference,
    }
    return json.dumps(body).encode()


def _read(body: object) -> Answer:
    fields = Fields(body, "refund")
    amount = fields.amount("amount")
    if amount is None:
        raise GatewayUnavailable("Xendit's refund has no readable amount")
    return Answer(
        id=fields.text("id", MAX_ID),
        reference=fields.optional_text("reference_id", MAX_ID),
        status=fields.text("status", MAX_WORD),
        amount=amount,
        currency=fields.currency(),
        failure_code=fields.optional_text("failure_code", MAX_CODE),
        invoice_id=fields.optional_text("invoice_id", MAX_ID),
    )


def _same(answer: Answer, refund: Refund) -> Answer:
    """Return the answer. Raises GatewayUnavailable if it is about another refund, or other money."""
    if answer.reference not in (None, refund.reference):
        raise GatewayUnavailable("Xendit answers with a refund of another reference")
    # Our numbers begin again in a restored database, and in another one with the same account: the key of a refund is
    # then that of an earlier one, which Xendit answers with.
    if answer.invoice_id not in (None, refund.invoice_id):
        raise GatewayUnavailable("Xendit answers with a refund of another invoice")
    if (answer.amount, answer.currency or refund.currency) != (refund.amount, refund.currency):
        raise GatewayUnavailable("Xendit answers with a refund of another amount")
    return answer

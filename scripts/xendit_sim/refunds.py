"""Refunds of paid invoices: made once for an idempotency key, ended at once or later, each end with its callback."""

from typing import Any

from xendit_sim.errors import ApiError, UnknownRefund, WrongState
from xendit_sim.faults import Faults
from xendit_sim.model import Invoice, stamp
from xendit_sim.refund_model import REASONS, Refund, RefundDraft, RefundStatus, new_refund_id
from xendit_sim.simulator import Simulator


def create(sim: Simulator, draft: RefundDraft, key: str | None) -> Refund:
    """Refund a part of what was paid, or return the refund that this key has made. Raises ApiError."""
    if key is not None and (known := sim.store.refund_of_key(key)):
        if known.draft != draft:
            raise ApiError(409, "IDEMPOTENCY_ERROR", "The idempotency key was used with another request")
        return known
    invoice = sim.store.get(draft.invoice_id)
    _check(sim, draft, invoice)
    assert invoice is not None
    now, paid_by = stamp(sim.clock()), invoice.paid_by
    refund = Refund(
        id=new_refund_id(),
        draft=draft,
        external_id=invoice.external_id,
        payment_id=paid_by.payment_id if paid_by else "",
        channel=paid_by.channel if paid_by else "",
        status=RefundStatus.PENDING,
        created=now,
        updated=now,
        key=key,
    )
    sim.store.save_refund(refund)
    outcome = sim.faults.refund_outcome
    if outcome != "PENDING":
        return end(sim, refund.id, RefundStatus(outcome), sim.faults.refund_failure_code)
    return refund


def _check(sim: Simulator, draft: RefundDraft, invoice: Invoice | None) -> None:
    if draft.reason not in REASONS:
        raise ApiError.of_status(400)
    if invoice is None:
        raise ApiError(404, "DATA_NOT_FOUND", f"Could not find invoice {draft.invoice_id}")
    if not sim.faults.refunds_supported:
        raise ApiError(400, "REFUND_NOT_SUPPORTED", "The payment channel does not support refunds")
    if not invoice.payments:
        raise ApiError(400, "INELIGIBLE_TRANSACTION", "The invoice is not paid")
    if draft.currency not in {payment.currency for payment in invoice.payments}:
        raise ApiError(400, "CURRENCY_NOT_SUPPORTED", f"Nothing was paid in {draft.currency}")
    paid = sum(payment.amount for payment in invoice.payments if payment.currency == draft.currency)
    given_back = sum(
        refund.draft.amount
        for refund in sim.store.refunds(invoice.id)
        if refund.draft.currency == draft.currency and refund.status is not RefundStatus.FAILED
    )
    if not 0 < draft.amount <= paid - given_back:
        raise ApiError(400, "MAXIMUM_REFUND_AMOUNT_REACHED", "The amount is more than can be refunded")


def get(sim: Simulator, refund_id: str) -> Refund:
    """Read a refund. Raises UnknownRefund."""
    if refund := sim.store.refund(refund_id):
        return refund
    raise UnknownRefund(refund_id)


def end(sim: Simulator, refund_id: str, status: RefundStatus, failure_code: str | None = None) -> Refund:
    """End a pending refund, with its callback. Raises UnknownRefund, WrongState."""
    refund = get(sim, refund_id)
    if refund.status is not RefundStatus.PENDING:
        raise WrongState(f"the refund is {refund.status}")
    code = (failure_code or "REFUND_FAILED") if status is RefundStatus.FAILED else None
    refund = refund.ended(status, code, stamp(sim.clock()))
    sim.store.save_refund(refund)
    sim.webhooks.announce_refund(refund)
    return refund


def resend(sim: Simulator, refund_id: str, *, times: int, parallel: bool) -> None:
    """Deliver the refund's last callback again. Raises UnknownRefund; WrongState without one."""
    refund = get(sim, refund_id)
    made = [item for item in sim.store.webhooks(refund.draft.invoice_id) if item.refund_id == refund_id]
    if not made:
        raise WrongState("the refund has no webhook yet")
    sim.webhooks.resend(made[-1], times, parallel=parallel)


def shown(refund: Refund, faults: Faults) -> dict[str, Any]:
    return faults.with_unknown_fields(refund.shown())

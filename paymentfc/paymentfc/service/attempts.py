"""Saves the result of one attempt to make an invoice: the invoices that the gateway has, or the failure."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from chassis.db.database import Tx
from chassis.events import Event
from chassis.loops import backoff
from paymentfc.config import Settings
from paymentfc.errors import GatewayUnavailable
from paymentfc.model.callback import PAID_WORDS
from paymentfc.model.invoices import Invoice, choose, has_amount_of
from paymentfc.model.payment import CLOSED, Payment, Reason, Status
from paymentfc.repository import audit, payments, requests
from paymentfc.repository.audit import AuditEvent
from paymentfc.repository.requests import Claim, RequestStatus
from paymentfc.service.settlement import apply_callback, close, close_invoice

log = structlog.get_logger(__name__)

ACTOR = "scheduler"
BACKOFF_CAP_S = 30.0
# After a create that followed one with an unknown result: the time until the look-up for a second invoice.
VERIFY_AFTER_S = 15.0


@dataclass(frozen=True, slots=True)
class Stored:
    """`served` is False when the payment still needs an invoice; `closing`: invoices may wait for being closed."""

    events: list[Event]
    served: bool
    closing: bool


def invoice_facts(claim: Claim, own: Invoice) -> dict[str, object]:
    """Return what the audit log says about an invoice that is offered."""
    return {"invoice_id": own.id, "invoice_url": own.invoice_url, "attempts": claim.attempts}


async def store_invoices(tx: Tx, claim: Claim, invoices: Sequence[Invoice], email: str | None) -> Stored:
    """Save what Xendit has, in any case; `email` is the payer's, where it is known."""
    payment = await payments.lock_payment(tx, claim.order_id)
    events: list[Event] = []
    own = choose(invoices, payment)
    if own is not None:
        events += await _save_own(tx, claim, payment, own, email)
        payment = await payments.read_again(tx, payment)
    for surplus in invoices:
        if own is None or surplus.id != own.id:
            events += await _refuse(tx, payment, surplus)
    served = not payment.needs_invoice
    if served:
        await _finish(tx, claim, payment)
    return Stored(events, served, closing=len(invoices) > 1 or not payment.is_open)


async def _save_own(tx: Tx, claim: Claim, payment: Payment, own: Invoice, email: str | None) -> tuple[Event, ...]:
    url, expires_at = own.invoice_url, own.expiry_date
    if payment.is_open and not own.is_final and (url is None or expires_at is None):
        raise GatewayUnavailable("Xendit's invoice lacks invoice_url or expiry_date")
    if url and expires_at and await payments.save_invoice(tx, payment.id, own.id, url, expires_at, email):
        await audit.add(tx, AuditEvent.INVOICE_CREATED, payment, ACTOR, **invoice_facts(claim, own))
    payment = await payments.read_again(tx, payment)
    if payment.status in CLOSED:
        await close_invoice(tx, payment, own)
    applied = await apply_callback(tx, payment, own.as_callback(payment.currency), ACTOR)
    return applied.events


async def _refuse(tx: Tx, payment: Payment, surplus: Invoice) -> tuple[Event, ...]:
    """Have a surplus invoice closed. Money paid on it, or a wrong amount while there is no other, is an anomaly."""
    await close_invoice(tx, payment, surplus)
    log.warning("surplus invoice", order_id=payment.order_id, invoice_id=surplus.id, status=surplus.status)
    if surplus.status in PAID_WORDS or (payment.invoice_id is None and not has_amount_of(surplus, payment)):
        return (await apply_callback(tx, payment, surplus.as_callback(payment.currency), ACTOR)).events
    return ()


async def _finish(tx: Tx, claim: Claim, payment: Payment) -> None:
    status = RequestStatus.CANCELLED if payment.invoice_id is None else RequestStatus.DONE
    # An earlier attempt may take effect at the gateway after this one: look for its invoice once more.
    if claim.attempts > 1 and claim.status != RequestStatus.VERIFY:
        status = RequestStatus.VERIFY
    await requests.finish(tx, claim, status, again_in_s=VERIFY_AFTER_S)


async def store_failure(
    tx: Tx, settings: Settings, claim: Claim, error: str, *, refused: bool, email: str | None
) -> tuple[Event, ...] | None:
    """Save the failure and when to try again; the last try fails the payment, so that the order is compensated.

    None when another worker holds the request by now; nothing is saved then.
    """
    failures = claim.tries + 1 if refused else claim.attempts
    wait_s = backoff(failures, settings.payment_retry_backoff_s, BACKOFF_CAP_S)
    payment = await payments.lock_payment(tx, claim.order_id)
    last_try = refused and claim.tries + 1 >= settings.payment_max_tries
    too_old = not refused and await requests.is_older_than(tx, payment.id, settings.invoice_give_up_s)
    status = _status_after_failure(claim, payment, last_try=last_try)
    if not await requests.postpone(tx, claim, status, error, wait_s, refused=refused):
        return None
    if not payment.needs_invoice:
        return ()
    if last_try or too_old:
        reason = Reason.INVOICE_REFUSED if last_try else Reason.GATEWAY_UNAVAILABLE
        return await close(tx, payment, Status.FAILED, reason, ACTOR)
    await payments.count_retry(tx, payment.id, email)
    await audit.add(tx, AuditEvent.PAYMENT_RETRIED, payment, ACTOR, attempts=claim.attempts, error=error)
    return ()


def _status_after_failure(claim: Claim, payment: Payment, *, last_try: bool) -> RequestStatus:
    if payment.invoice_id is not None or claim.status == RequestStatus.VERIFY:
        return RequestStatus.VERIFY
    # Only if every attempt was refused: one that was not may have made an invoice, and the look-ups go on.
    if last_try and claim.attempts == claim.tries + 1:
        return RequestStatus.EXHAUSTED
    return RequestStatus.FAILED

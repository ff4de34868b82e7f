"""Applies what the gateway says of an invoice to a locked payment, for webhook, sweep, status check and look-up."""

from dataclasses import dataclass, replace

from prometheus_client import Counter

from chassis.db.database import Tx
from chassis.events import Event
from paymentfc.events import failed, succeeded
from paymentfc.model.callback import (
    EXPIRED_WORD,
    Anomaly,
    AnomalyKind,
    Callback,
    Decision,
    Outcome,
    decide,
    is_further,
    paid_twice,
)
from paymentfc.model.invoices import Invoice
from paymentfc.model.payment import KNOWN_TO_ORDER, Payment, Reason, Status
from paymentfc.model.refund import Debt, debt_of, wrong_money
from paymentfc.repository import anomalies, audit, closings, payments, receipts
from paymentfc.repository.audit import AuditEvent
from paymentfc.repository.closings import Step
from paymentfc.repository.receipts import Receipt
from paymentfc.service.refunds import owe

ANOMALIES = Counter("gocommerce_payment_anomalies_total", "Anomalies recorded, by kind", ["kind"])
TRANSITIONS = Counter("gocommerce_payment_transitions_total", "Payments that left PENDING", ["status", "reason"])

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Applied:
    """The effect of a callback, and the events that its transaction has to publish."""

    outcome: Outcome
    events: tuple[Event, ...] = ()


async def apply_callback(tx: Tx, payment: Payment, callback: Callback, actor: str) -> Applied:
    """Decide on a callback and save the effects. The payment must be locked by this transaction."""
    decision = await judge(tx, payment, callback)
    if decision.adopt:
        if await payments.adopt_invoice(tx, payment.id, callback.invoice_id):
            payment = replace(payment, invoice_id=callback.invoice_id)
        else:
            unknown = Anomaly(AnomalyKind.UNKNOWN_INVOICE, "an invoice of this order", callback.invoice_id)
            decision = Decision(Outcome.ANOMALY, (unknown,))
    for anomaly in decision.anomalies:
        await record(tx, anomaly, callback, payment, actor)
    return Applied(decision.outcome, await _move(tx, decision.outcome, payment, callback, actor))


async def judge(tx: Tx, payment: Payment, callback: Callback) -> Decision:
    surplus = payment.invoice_id not in (None, callback.invoice_id)
    stray = surplus and await closings.is_listed(tx, callback.invoice_id)
    return decide(payment, callback, stray=stray)


async def _move(tx: Tx, outcome: Outcome, payment: Payment, callback: Callback, actor: str) -> tuple[Event, ...]:
    if outcome is Outcome.EXPIRED:
        return await close(tx, payment, Status.EXPIRED, Reason.EXPIRED, actor, at_gateway=True)
    if outcome in (Outcome.PAID, Outcome.LATE):
        return await _take(tx, outcome, payment, callback, actor)
    if outcome is Outcome.NOTHING and callback.says_paid and callback.receipt and payment.was_paid:
        await payments.name_receipt(tx, payment.id, callback.receipt)
    return ()


async def _take(tx: Tx, outcome: Outcome, payment: Payment, callback: Callback, actor: str) -> tuple[Event, ...]:
    """Store that the money has come, in time or late, and with which payment.

    That is the one that Xendit names, else the last that a callback named.
    """
    known = await receipts.of_invoice(tx, callback.invoice_id, callback.external_id)
    receipt = callback.receipt or (known[-1].receipt if known else None)
    take = payments.pay if outcome is Outcome.PAID else payments.mark_paid_late
    if not await take(tx, payment.id, receipt):
        return ()
    if outcome is Outcome.PAID:
        TRANSITIONS.labels(Status.PAID.value, "").inc()
        await audit.add(tx, AuditEvent.PAYMENT_PAID, payment, actor, **paid_facts(payment, callback))
    for other in known:
        if other.receipt != receipt:
            await _record_further(tx, replace(payment, receipt=receipt), callback, other, actor)
    # A closed order becomes `failed` with this event, and the money is to be refunded.
    return (succeeded(payment),)


def paid_facts(payment: Payment, callback: Callback) -> dict[str, object]:
    """Return what the audit log says about a payment that is paid."""
    return {"invoice_id": callback.invoice_id, "amount": payment.amount, "status": callback.status}


def plain_payment(payment: Payment, said: Callback, invoice: Invoice) -> Callback | None:
    """Return the callback as Xendit confirms it, with the payment that is taken, if all it does is to pay.

    None where Xendit does not confirm it, and where there is more to do, or nothing.
    """
    if not invoice.confirms(said):
        return None
    callback = invoice.as_confirmed(said, payment.currency)
    if decide(payment, callback) != Decision(Outcome.PAID):
        return None
    return replace(callback, receipt=callback.receipt or said.receipt)


async def _record_further(tx: Tx, payment: Payment, callback: Callback, other: Receipt, actor: str) -> None:
    """Record another payment of the invoice; one of a wrong amount has its anomaly already."""
    if (other.amount, other.currency) == (payment.amount, payment.currency):
        about = replace(callback, paid_amount=other.amount, currency=other.currency, receipt=other.receipt)
        await record(tx, paid_twice(payment, about), about, payment, actor)


async def apply_end(tx: Tx, payment: Payment, invoice: Invoice, actor: str) -> Applied:
    """Apply the state of an invoice whose time is over. Money of a wrong amount is given back, and closes the payment.

    A further payment has its own refund already.
    """
    callback = invoice.as_callback(payment.currency)
    applied = await apply_callback(tx, payment, callback, actor)
    if applied.outcome is not Outcome.ANOMALY or invoice.id != payment.invoice_id or is_further(payment, callback):
        return applied
    if invoice.shows_money:
        money = wrong_money(callback)
        return Applied(Outcome.ANOMALY, await close_disputed(tx, payment, money, actor))
    if invoice.status == EXPIRED_WORD:
        events = await close(tx, payment, Status.EXPIRED, Reason.EXPIRED, actor, at_gateway=True)
        return Applied(Outcome.EXPIRED, events)
    return applied


async def close_disputed(tx: Tx, payment: Payment, money: Debt | None, actor: str) -> tuple[Event, ...]:
    """Have money of a wrong amount or currency given back, and close the payment that it came for if it is open."""
    if money is not None:
        await owe(tx, payment, money, actor)
    if not payment.was_paid and payment.invoice_id:
        await anomalies.note_closing(tx, payment.invoice_id)
    return await close(tx, payment, Status.FAILED, Reason.AMOUNT_MISMATCH, actor)


async def close(
    tx: Tx, payment: Payment, status: Status, reason: Reason, actor: str, *, at_gateway: bool = False
) -> tuple[Event, ...]:
    """Close an open payment unpaid and have its invoice closed too; a no-op for a payment that is not open.

    `at_gateway`: the invoice is closed there already. What the order knows itself (KNOWN_TO_ORDER) is not published.
    """
    if not await payments.close(tx, payment.id, status, reason):
        return ()
    TRANSITIONS.labels(status.value, reason.value).inc()
    event = AuditEvent.PAYMENT_EXPIRED if status is Status.EXPIRED else AuditEvent.PAYMENT_FAILED
    await audit.add(tx, event, payment, actor, reason=reason.value, invoice_id=payment.invoice_id)
    if payment.invoice_id and at_gateway:
        await closings.add(tx, payment, payment.invoice_id, Step.LOOK_AGAIN, DAY_S)
    elif payment.invoice_id:
        await closings.add(tx, payment, payment.invoice_id, Step.EXPIRE)
    return () if reason in KNOWN_TO_ORDER else (failed(payment, status, reason.value),)


async def close_invoice(tx: Tx, payment: Payment, invoice: Invoice) -> None:
    """Have an invoice expired that must not be paid; an expired one is read again a day later, for late money."""
    if invoice.status == EXPIRED_WORD:
        await closings.add(tx, payment, invoice.id, Step.LOOK_AGAIN, DAY_S)
    elif not invoice.is_final:
        await closings.add(tx, payment, invoice.id, Step.EXPIRE)


async def record(tx: Tx, anomaly: Anomaly, callback: Callback, payment: Payment | None, actor: str) -> None:
    """Record an anomaly once, and with it the refund of money that was not owed."""
    if not await anomalies.add(tx, anomaly, callback, payment):
        return
    if payment is not None and (debt := debt_of(anomaly, callback)) is not None:
        await owe(tx, payment, debt, actor)
    ANOMALIES.labels(anomaly.kind.value).inc()
    facts = {"kind": anomaly.kind.value, "expected": anomaly.expected, "received": anomaly.received}
    about = payment or callback.external_id
    await audit.add(tx, AuditEvent.PAYMENT_ANOMALY, about, actor, **facts, invoice_id=callback.invoice_id)

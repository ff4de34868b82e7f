"""Rules about money: each payment of an invoice is taken or recorded, and none is taken because of a callback alone."""

from collections.abc import Iterator

from fc.audit.model import Dossier
from fc.audit.rules.rule import XENDIT, Context, Fault, Patience, rule

WRONG_MONEY = frozenset({"amount_mismatch", "currency_mismatch"})
_MONEY = WRONG_MONEY | {"paid_twice", "unknown_invoice"}


def _on_record(dossier: Dossier, invoice_id: str) -> int:
    """Count the payments of an invoice that were taken, in time or late, or that are anomalies."""
    payment = dossier.payment
    own = payment is not None and payment.invoice_id == invoice_id
    taken = own and payment is not None and (payment.status == "PAID" or payment.late_paid_at is not None)
    return int(taken) + sum(item.invoice_id == invoice_id and item.kind in _MONEY for item in dossier.anomalies)


@rule(
    "paid_twice",
    "Every payment of an invoice at Xendit was taken, or is recorded as an anomaly.",
    patience=Patience.WEBHOOK,
    needs=(XENDIT,),
)
def twice(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Count the payments, where the source lists them. Of one payment `invoice_paid` is the rule."""
    for item in dossier.invoices:
        known = _on_record(dossier, item.id)
        if item.payments > max(known, 1):
            yield Fault(f"{item.payments} payments of invoice {item.id}", f"{known} on record", item.updated)


@rule("receipt_recorded", "Every payment of a finished order that a callback named was taken, or is an anomaly.")
def receipts(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare rows that one transaction writes; without a payment that was taken the callbacks still wait."""
    payment = dossier.payment
    if payment is None or (payment.status != "PAID" and payment.late_paid_at is None):
        return
    named = [item for item in dossier.receipts if item.invoice_id == payment.invoice_id]
    known = _on_record(dossier, payment.invoice_id or "")
    if len(named) > known:
        actual = f"{known} on record of {', '.join(item.receipt for item in named)}"
        yield Fault(f"{len(named)} payments", actual, named[-1].create_time)


@rule("mismatch_open", "Money of a wrong amount does not hold an order beyond the end of its invoice.")
def mismatch(dossier: Dossier, context: Context) -> Iterator[Fault]:
    for payment in dossier.payments:
        wrong = [item for item in dossier.anomalies if item.kind in WRONG_MONEY]
        of_own = [item for item in wrong if item.invoice_id == payment.invoice_id]
        ended = payment.expires_at is not None and payment.expires_at < context.now - context.stuck
        if payment.status == "PENDING" and of_own and ended:
            actual = f"payment PENDING, {of_own[0].kind}: {of_own[0].received}"
            yield Fault("closed with amount_mismatch", actual, payment.expires_at)


@rule("late_witness", "Money that came for a closed payment is at Xendit.", needs=(XENDIT,))
def late(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Find a refund that only a callback justifies. For PAID payments `payment_witness` checks this."""
    for payment in dossier.payments:
        own = next((item for item in dossier.invoices if item.id == payment.invoice_id), None)
        if payment.late_paid_at is not None and own is not None and not own.is_paid:
            yield Fault("an invoice with money", f"invoice {own.id} {own.status} without", payment.late_paid_at)


@rule("confirmation_overdue", "Every callback that Xendit has to confirm is looked at in time.")
def confirmation(dossier: Dossier, context: Context) -> Iterator[Fault]:
    listed = {item.invoice_id: item for item in dossier.confirmations}
    for item in dossier.callbacks:
        if item.outcome != "confirming":
            continue
        work = listed.get(item.invoice_id)
        if work is None:
            yield Fault(
                "a row of payment_confirmations", f"none for {item.status} of {item.invoice_id}", item.create_time
            )
        elif work.due_at < context.now - context.stuck:
            actual = f"{item.status} of {item.invoice_id} waits, last error: {work.last_error or 'none'}"
            yield Fault("looked at again", actual, work.due_at)

"""Rules about invoices at Xendit, the independent record of the money."""

from collections.abc import Iterator
from datetime import datetime

from fc.audit.model import Dossier, Invoice, Payment
from fc.audit.rules.rule import XENDIT, Context, Fault, Level, Patience, rule

_MISMATCHES = frozenset({"amount_mismatch", "currency_mismatch", "unknown_invoice"})


def _at(invoice: Invoice) -> datetime | None:
    return invoice.updated or invoice.created


def _to_expire(dossier: Dossier) -> set[str]:
    """Return the invoices that paymentfc has yet to expire."""
    return {item.invoice_id for item in dossier.closings if item.step == "expire"}


def _with_anomaly(dossier: Dossier) -> set[str]:
    """Return the invoices with an anomaly."""
    return {item.invoice_id for item in dossier.anomalies}


def _own(dossier: Dossier, payment: Payment) -> Invoice | None:
    return next((invoice for invoice in dossier.invoices if invoice.id == payment.invoice_id), None)


@rule("invoice_live", "Xendit has at most one live invoice of an order.", patience=Patience.MESSAGES, needs=(XENDIT,))
def live(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Count live invoices; one that is due to be expired does not count."""
    actual = [item for item in dossier.invoices if item.status == "PENDING"]
    if len(actual) > 1 and len([item for item in actual if item.id not in _to_expire(dossier)]) > 1:
        since = max((moment for item in actual if (moment := _at(item))), default=None)
        yield Fault("one live invoice", ", ".join(sorted(item.id for item in actual)), since, excusable=False)


@rule("invoice_left", "No invoice of a finished payment can be paid.", patience=Patience.MESSAGES, needs=(XENDIT,))
def left(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Report live invoices of payments that are not open, except those that are due to be expired.

    The own invoice of a PAID payment is left to `payment_witness`.
    """
    for payment in dossier.payments:
        leaves = _to_expire(dossier) | ({payment.invoice_id} if payment.status == "PAID" else set())
        for item in dossier.invoices if payment.status != "PENDING" else ():
            if item.status == "PENDING" and item.id not in leaves:
                actual = f"payment {payment.status}, invoice {item.id} PENDING"
                yield Fault("no live invoice", actual, payment.update_time, excusable=False)


@rule(
    "invoice_paid",
    "Money that Xendit received made its payment PAID, or is recorded as an anomaly.",
    patience=Patience.WEBHOOK,
    needs=(XENDIT,),
)
def accounted(dossier: Dossier, _: Context) -> Iterator[Fault]:
    for item in dossier.invoices:
        if item.is_paid and not _accounted(dossier, item) and not _looked_at_again(dossier, item):
            payment = dossier.payment
            actual = f"payment {payment.status}" if payment else "no payment"
            yield Fault(f"invoice {item.id} {item.status}, money came", f"{actual}, no anomaly", _at(item))


def _accounted(dossier: Dossier, item: Invoice) -> bool:
    payment = dossier.payment
    own = payment is not None and payment.invoice_id == item.id and payment.status == "PAID"
    return own or item.id in _with_anomaly(dossier)


def _looked_at_again(dossier: Dossier, item: Invoice) -> bool:
    closed = dossier.payment is not None and dossier.payment.is_closed
    return closed and any(each.invoice_id == item.id and each.step != "done" for each in dossier.closings)


@rule(
    "invoice_money_waits",
    "No closed payment has received money that is not recorded yet.",
    level=Level.ATTENTION,
    patience=Patience.WEBHOOK,
    needs=(XENDIT,),
)
def waits(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """List lost callbacks that the last check of a closed invoice, one day later, will find."""
    for item in dossier.invoices:
        if item.is_paid and not _accounted(dossier, item) and _looked_at_again(dossier, item):
            yield Fault("an anomaly paid_after_close", f"invoice {item.id} will be looked at again", _at(item))


@rule(
    "invoice_mismatch",
    "Money in another amount or currency than the payment's is recorded as an anomaly.",
    patience=Patience.WEBHOOK,
    needs=(XENDIT,),
)
def mismatch(dossier: Dossier, _: Context) -> Iterator[Fault]:
    recorded = {item.invoice_id for item in dossier.anomalies if item.kind in _MISMATCHES}
    for payment in dossier.payments:
        for item in dossier.invoices:
            is_its_money = payment.status == "PAID" and item.id == payment.invoice_id
            if item.is_paid and item.id not in recorded and not is_its_money and (paid := _other(payment, item)):
                yield Fault(f"{payment.amount} {payment.currency}", f"{paid}, no anomaly", _at(item))


def _other(payment: Payment, item: Invoice) -> str | None:
    """Return the money that an invoice received, None where it is the payment's."""
    amount = item.amount if item.paid_amount is None else item.paid_amount
    currency = item.currency or payment.currency
    return None if (amount, currency) == (payment.amount, payment.currency) else f"{amount} {currency}"


@rule("payment_received", "A PAID payment received exactly its amount at Xendit.", needs=(XENDIT,))
def received(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare what made the payment PAID: no later callback can explain another amount."""
    for payment in dossier.payments:
        own = _own(dossier, payment) if payment.status == "PAID" else None
        if own and own.is_paid and (paid := _other(payment, own)):
            yield Fault(f"{payment.amount} {payment.currency}", paid, payment.paid_at)


@rule("payment_witness", "Every PAID payment is paid at Xendit.", needs=(XENDIT,))
def witness(dossier: Dossier, _: Context) -> Iterator[Fault]:
    for payment in dossier.payments:
        if payment.status == "PAID":
            own = _own(dossier, payment)
            if own is None or not own.is_paid:
                actual = f"invoice {own.id} {own.status}" if own else f"no invoice {payment.invoice_id}"
                yield Fault("an invoice PAID or SETTLED", actual, payment.paid_at)


@rule("invoice_amount", "A payment's invoice has its amount and currency.", needs=(XENDIT,))
def amount(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare values that never change."""
    for payment in dossier.payments:
        own = _own(dossier, payment)
        if own and (own.amount, own.currency or payment.currency) != (payment.amount, payment.currency):
            yield Fault(f"{payment.amount} {payment.currency}", f"{own.amount} {own.currency}", own.created)


@rule(
    "invoice_expired",
    "An invoice that has expired at Xendit closed its payment.",
    patience=Patience.WEBHOOK,
    needs=(XENDIT,),
)
def expired(dossier: Dossier, _: Context) -> Iterator[Fault]:
    for payment in dossier.payments:
        own = _own(dossier, payment)
        if own and own.status == "EXPIRED" and payment.status == "PENDING" and own.id not in _with_anomaly(dossier):
            yield Fault("payment EXPIRED", "payment PENDING", _at(own))


@rule("invoice_unknown", "Xendit has every invoice that the platform has.", level=Level.ATTENTION, needs=(XENDIT,))
def unknown(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """List invoices that Xendit lacks; for PAID payments `payment_witness` reports a violation."""
    for payment in dossier.payments:
        if payment.status != "PAID" and payment.invoice_id and _own(dossier, payment) is None:
            yield Fault(f"invoice {payment.invoice_id}", "none", payment.update_time)


@rule(
    "invoice_order",
    "Every invoice at Xendit that names an order names one of this platform.",
    level=Level.ATTENTION,
    patience=Patience.MESSAGES,
    needs=(XENDIT,),
)
def order(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """List invoices without an order; another platform may share the account."""
    if dossier.order is None and dossier.payment is None:
        for item in dossier.invoices:
            yield Fault("an order", f"invoice {item.id} {item.status}", item.created)

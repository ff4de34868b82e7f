"""Rules about the payment: it matches its order, its columns are consistent, and problems are recorded as anomalies."""

from collections.abc import Iterator

from fc.audit.model import Dossier
from fc.audit.rules.combinations import FAILED
from fc.audit.rules.rule import Context, Fault, Level, Patience, rule

LIVE_REQUESTS = frozenset({"PENDING", "FAILED", "VERIFY"})
REFUND_DUE = "paid_after_close"


@rule("payment_missing", "Every order has a payment.", patience=Patience.MESSAGES)
def missing(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Check that the row exists; a unique constraint forbids a second one."""
    if dossier.order and dossier.payment is None:
        yield Fault("a payment", "none", dossier.order.created_at)


@rule("payment_order", "Every payment belongs to an order.", patience=Patience.MESSAGES)
def order(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Report a payment without an order: orderfc commits before it publishes order.created."""
    if dossier.payment and dossier.order is None:
        yield Fault("an order", "none", dossier.payment.create_time, excusable=False)


@rule("payment_amount", "A payment's amount is its order's total.")
def amount(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare values that never change."""
    if dossier.order and dossier.payment and dossier.order.total_amount != dossier.payment.amount:
        yield Fault(dossier.order.total_amount, dossier.payment.amount, dossier.payment.create_time)


@rule("payment_currency", "A payment's currency is its order's.")
def currency(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare values that never change."""
    if dossier.order and dossier.payment and dossier.order.currency != dossier.payment.currency:
        yield Fault(dossier.order.currency, dossier.payment.currency, dossier.payment.create_time)


@rule("payment_user", "A payment's customer is its order's.")
def user(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare values that never change."""
    if dossier.order and dossier.payment and dossier.order.user_id != dossier.payment.user_id:
        yield Fault(f"user {dossier.order.user_id}", f"user {dossier.payment.user_id}", dossier.payment.create_time)


@rule("payment_name", "A payment's external id is order-<id>.")
def name(dossier: Dossier, _: Context) -> Iterator[Fault]:
    for payment in dossier.payments:
        if payment.external_id != f"order-{payment.order_id}":
            yield Fault(f"order-{payment.order_id}", payment.external_id, payment.create_time)


@rule("payment_columns", "A payment has paid_at exactly when it is PAID, and a reason exactly when it ended unpaid.")
def columns(dossier: Dossier, _: Context) -> Iterator[Fault]:
    for payment in dossier.payments:
        actual = (payment.paid_at is not None, payment.reason is not None, payment.late_paid_at is not None)
        expected = (payment.status == "PAID", payment.is_closed, actual[2] and payment.is_closed)
        if actual != expected:
            yield Fault(f"{payment.status}: {_columns(expected)}", _columns(actual), payment.update_time)
        if payment.status == "PAID" and payment.invoice_id is None:
            yield Fault("PAID with an invoice", "no invoice", payment.update_time)


def _columns(values: tuple[bool, bool, bool]) -> str:
    names = ("paid_at", "reason", "late_paid_at")
    return ", ".join(name for name, value in zip(names, values, strict=True) if value) or "none of paid_at and reason"


@rule("payment_request", "An open payment has an invoice, or a request that will make one.")
def request(dossier: Dossier, _: Context) -> Iterator[Fault]:
    for payment in dossier.payments:
        if payment.status == "PENDING" and payment.invoice_id is None:
            states = [item.status for item in dossier.requests]
            if not LIVE_REQUESTS.intersection(states):
                actual = f"request {states[0]}" if states else "no request"
                yield Fault("a request PENDING, FAILED or VERIFY", actual, payment.update_time)


@rule("late_payment", "Money received for a closed payment is recorded as an anomaly paid_after_close.")
def late(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare `late_paid_at` of a closed payment with the anomalies; one transaction writes both."""
    for payment in dossier.payments:
        recorded = [item for item in dossier.anomalies if item.kind == REFUND_DUE]
        if payment.late_paid_at and not recorded:
            yield Fault(f"an anomaly {REFUND_DUE}", "none", payment.late_paid_at)
        if recorded and payment.is_closed and payment.late_paid_at is None:
            yield Fault("late_paid_at", f"an anomaly {REFUND_DUE} alone", recorded[0].create_time)


@rule("refund_recorded", "Every failed order has an anomaly paid_after_close.", patience=Patience.MESSAGES)
def refund(dossier: Dossier, _: Context) -> Iterator[Fault]:
    recorded = any(item.kind == REFUND_DUE for item in dossier.anomalies)
    if dossier.order and dossier.order.status == FAILED and dossier.payment and not recorded:
        yield Fault(f"an anomaly {REFUND_DUE}", "none", dossier.order.updated_at)


@rule("callback_applied", "No callback waits for a payment that exists.")
def applied(dossier: Dossier, _: Context) -> Iterator[Fault]:
    if dossier.payment:
        for item in dossier.callbacks:
            if item.outcome == "waiting":
                actual = f"{item.status} of invoice {item.invoice_id} waiting"
                yield Fault("applied", actual, max(item.create_time, dossier.payment.create_time))


@rule("callback_anomaly", "Every callback that could not be applied is recorded as an anomaly.")
def recorded(dossier: Dossier, _: Context) -> Iterator[Fault]:
    known = {item.invoice_id for item in dossier.anomalies}
    for item in dossier.callbacks:
        if item.outcome in ("anomaly", "waiting", REFUND_DUE) and item.invoice_id not in known:
            yield Fault(f"an anomaly of invoice {item.invoice_id}", f"none, outcome {item.outcome}", item.create_time)


@rule("anomaly_open", "No anomaly is unresolved.", level=Level.ATTENTION)
def anomaly(dossier: Dossier, _: Context) -> Iterator[Fault]:
    for item in dossier.anomalies:
        if item.resolved_at is None:
            yield Fault(item.expected, f"{item.kind}: {item.received}", item.create_time)


@rule("request_overdue", "No payment request is overdue.")
def request_overdue(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Report requests that are overdue, and leases that are."""
    for item in dossier.requests:
        due = max(item.next_attempt_at, item.lease_until or item.next_attempt_at)
        if item.status in LIVE_REQUESTS and due < context.now - context.stuck:
            yield Fault("tried again", f"request {item.status}, last error: {item.last_error or 'none'}", due)


@rule("expiry_overdue", "No payment stays open after its expiry.")
def expiry_overdue(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Report payments that no sweep takes; each sweep that finds an obstacle sets a new `sweep_after`."""
    for payment in dossier.payments:
        if payment.status == "PENDING" and payment.expires_at and payment.invoice_id:
            due = max(payment.expires_at, payment.sweep_after or payment.expires_at)
            if due < context.now - context.stuck:
                yield Fault("swept", "payment PENDING", due)


@rule("closing_overdue", "No invoice that has to be closed is overdue.")
def closing_overdue(dossier: Dossier, context: Context) -> Iterator[Fault]:
    for item in dossier.closings:
        if (item.step == "done") != (item.done_at is not None):
            yield Fault("done_at exactly when done", f"step {item.step}, done_at {item.done_at}", item.create_time)
        elif item.step != "done" and item.due_at < context.now - context.stuck:
            actual = f"invoice {item.invoice_id} at {item.step}, last error: {item.last_error or 'none'}"
            yield Fault("the next step", actual, item.due_at)

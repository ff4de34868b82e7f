"""Rules about refunds: money that was not owed has one, and no more is given back than was paid."""

from collections.abc import Iterator
from decimal import Decimal

from fc.audit.model import Anomaly, Dossier, Payment
from fc.audit.refund_model import Refund
from fc.audit.rules.money import WRONG_MONEY
from fc.audit.rules.rule import XENDIT, Context, Fault, Level, Patience, rule

TAKEN = "taken"
OPEN = ("DUE", "FAILED", "MANUAL")


_NAMES = ("requested", "succeeded", "failed", "settled")
_FAILED = frozenset({"requested", "failed"})
STEPS: dict[str, tuple[frozenset[str], ...]] = {
    "DUE": (frozenset(),),
    "REQUESTED": (frozenset({"requested"}),),
    "SUCCEEDED": (frozenset({"requested", "succeeded"}),),
    "FAILED": (_FAILED,),
    "MANUAL": (_FAILED,),
    "SETTLED": (frozenset({"settled"}), _FAILED | {"settled"}),
}
"""Status -> the steps that may have led to it."""


def _taken(dossier: Dossier) -> Decimal:
    """Return how much of the money that the payment has taken is given back, or is going to be."""
    return sum((item.amount for item in dossier.refunds if item.source in (TAKEN, None)), Decimal(0))


def _came_in(payment: Payment) -> Decimal:
    return payment.amount if payment.status == "PAID" or payment.late_paid_at else Decimal(0)


def _receipt(anomaly: Anomaly) -> str:
    """Return the source of a further payment: `received` ends with its amount."""
    return f"receipt:{anomaly.received.rpartition(' ')[0]}"


def _is_given_back(dossier: Dossier, payment: Payment, anomaly: Anomaly) -> bool:
    if anomaly.kind == "paid_after_close":
        return _taken(dossier) >= payment.amount
    if anomaly.kind == "paid_twice":
        return any(item.source == _receipt(anomaly) for item in dossier.refunds)
    return any(item.cause == "amount_mismatch" for item in dossier.refunds)


def _is_not_owed(dossier: Dossier, payment: Payment, anomaly: Anomaly) -> bool:
    if anomaly.kind in WRONG_MONEY:
        return anomaly.paid and (payment.reason == "amount_mismatch" or _is_undecided(dossier, payment, anomaly))
    return anomaly.kind in ("paid_after_close", "paid_twice")


def _is_undecided(dossier: Dossier, payment: Payment, anomaly: Anomaly) -> bool:
    """Whether money of a wrong amount waits although its order is over and Xendit was asked about the invoice."""
    if not payment.is_closed or payment.late_paid_at is not None or anomaly.resolved_at is not None:
        return False
    asked = all(item.step == "done" for item in dossier.closings if item.invoice_id == anomaly.invoice_id)
    return asked and Decimal(anomaly.amount) > 0


@rule("refund_missing", "Money that was not owed has a refund.")
def missing(dossier: Dossier, context: Context) -> Iterator[Fault]:
    """Leave out what a person resolved before there were refunds."""
    since = context.refunded_since
    for item in dossier.anomalies if dossier.payment else ():
        before = item.resolved_at is not None and (since is None or item.create_time < since)
        payment = dossier.payments[0]
        if _is_not_owed(dossier, payment, item) and not before and not _is_given_back(dossier, payment, item):
            yield Fault(f"a refund for {item.kind}", f"{len(dossier.refunds)} refunds", item.create_time)


@rule("refund_excess", "No more money is given back than came in.")
def excess(dossier: Dossier, _: Context) -> Iterator[Fault]:
    for payment in dossier.payments:
        if _taken(dossier) > _came_in(payment):
            last = max(item.update_time for item in dossier.refunds)
            yield Fault(f"at most {_came_in(payment)}", str(_taken(dossier)), last)
    for item in dossier.refunds:
        if item.source not in (TAKEN, None) and not _is_on_record(dossier, item):
            yield Fault(f"an anomaly of {item.cause}", f"refund {item.id} of {item.amount}", item.create_time)


def _is_on_record(dossier: Dossier, refund: Refund) -> bool:
    """Whether the money of a refund is an anomaly, with this amount."""
    if refund.cause == "amount_mismatch":
        wrong = [item for item in dossier.anomalies if item.kind in WRONG_MONEY and item.currency == refund.currency]
        return any(Decimal(item.amount) == refund.amount for item in wrong)
    twice = [item for item in dossier.anomalies if item.kind == "paid_twice" and _receipt(item) == refund.source]
    return any(Decimal(item.received.rpartition(" ")[2]) == refund.amount for item in twice)


@rule("refund_open", "No refund waits for a person.", level=Level.ATTENTION)
def waits(dossier: Dossier, _: Context) -> Iterator[Fault]:
    for item in dossier.refunds:
        if item.status in OPEN:
            actual = f"{item.amount} {item.currency} {item.status}, {item.failure_code or item.cause}"
            yield Fault("given back", actual, item.create_time)


@rule("refund_columns", "A refund has the times of the steps that led to its status, and no others.")
def columns(dossier: Dossier, _: Context) -> Iterator[Fault]:
    for item in dossier.refunds:
        if _steps(item) not in STEPS[item.status]:
            yield Fault(_text(STEPS[item.status][0]), f"{item.status}: {_text(_steps(item))}", item.update_time)


@rule("refund_overdue", "Every refund that waits for Xendit is looked at in time.")
def overdue(dossier: Dossier, context: Context) -> Iterator[Fault]:
    for item in dossier.refunds:
        if item.status == "REQUESTED" and item.due_at < context.now - context.stuck:
            yield Fault("looked at", f"refund {item.id}, last error: {item.last_error or 'none'}", item.due_at)


@rule(
    "refund_twice",
    "Xendit has each refund once, and has given back what is recorded as given back.",
    patience=Patience.WEBHOOK,
    needs=(XENDIT,),
)
def twice(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare with the refunds of our names. One that is on its way may have ended at Xendit."""
    for item in dossier.refunds:
        found = [each for each in dossier.given_back if each.reference == f"refund-{item.id}"]
        given = [each for each in found if each.status == "SUCCEEDED"]
        expected = {"SUCCEEDED": (1, 1), "REQUESTED": (0, 1)}.get(item.status, (0, 0))
        if len(found) > 1 or not expected[0] <= len(given) <= expected[1]:
            actual = f"{len(found)} refunds there, {len(given)} given back"
            yield Fault(f"refund {item.id} {item.status} once at most", actual, item.update_time)
        elif any((each.amount, each.currency) != (item.amount, item.currency) for each in found):
            yield Fault(f"{item.amount} {item.currency}", f"{found[0].amount} {found[0].currency}", item.update_time)


def _steps(refund: Refund) -> frozenset[str]:
    return frozenset(name for name in _NAMES if getattr(refund, f"{name}_at") is not None)


def _text(steps: frozenset[str]) -> str:
    return ", ".join(name for name in _NAMES if name in steps) or "none"

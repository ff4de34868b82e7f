"""Rules about the audit log: it has each step of a payment exactly once, and no other entry."""

from collections import Counter
from collections.abc import Iterator

from fc.audit.log_model import AuditEntry
from fc.audit.model import Dossier, Payment
from fc.audit.rules.rule import MONGO, Context, Fault, Patience, rule

PUBLISHED = "event.published"
ANOMALY = "payment.anomaly"
# What administrators do is no step of a payment.
ACTIONS = "admin."
# The dossier of entries that name no order.
NO_ORDER = 0


def _entries(dossier: Dossier) -> list[AuditEntry]:
    """Return the entries in the log and those still in the outbox; one in delivery may be in both."""
    logged = {entry.event_id for entry in dossier.audit}
    return dossier.audit + [entry for entry in dossier.undelivered if entry.event_id not in logged]


def _expected(dossier: Dossier, payment: Payment) -> dict[str, int]:
    return {
        "payment.created": 1,
        "invoice.created": int(payment.invoice_url is not None),
        "payment.paid": int(payment.status == "PAID"),
        "payment.expired": int(payment.status == "EXPIRED"),
        "payment.failed": int(payment.status == "FAILED"),
        "payment.retried": payment.retry_count,
        "refund.due": len(dossier.refunds),
        **{
            f"refund.{step}": sum(getattr(item, f"{step}_at") is not None for item in dossier.refunds)
            for step in ("requested", "succeeded", "failed", "settled")
        },
        ANOMALY: len(dossier.anomalies),
    }


def _is_opened_again(dossier: Dossier, event: str, more: int) -> bool:
    """Whether so many more entries tell of money that has come for a known case: each is told once more then."""
    return event == ANOMALY and 0 < more <= sum(item.paid for item in dossier.anomalies)


@rule(
    "audit_steps", "The audit log has each step of a payment exactly once.", patience=Patience.MESSAGES, needs=(MONGO,)
)
def steps(dossier: Dossier, _: Context) -> Iterator[Fault]:
    if dossier.order_id == NO_ORDER:
        return
    entries = _entries(dossier)
    actual = Counter(entry.event for entry in entries if not entry.event.startswith(ACTIONS))
    expected = _expected(dossier, dossier.payment) if dossier.payment else {ANOMALY: len(dossier.anomalies)}
    moments = [entry.create_time for entry in entries] + [item.create_time for item in dossier.anomalies]
    since = max(moments + [payment.update_time for payment in dossier.payments], default=None)
    for event in sorted((expected.keys() | actual.keys()) - {PUBLISHED}):
        more = actual[event] - expected.get(event, 0)
        if more and not _is_opened_again(dossier, event, more):
            yield Fault(f"{expected.get(event, 0)} {event}", str(actual[event]), since, excusable=False)


@rule(
    "audit_published",
    "The audit log has every published event of a payment exactly once.",
    patience=Patience.MESSAGES,
    needs=(MONGO,),
)
def published(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare with the outbox as far as it is not purged; older events must not be logged twice."""
    entries = [entry for entry in _entries(dossier) if entry.event == PUBLISHED]
    actual = Counter(entry.about for entry in entries)
    times = {entry.about: entry.create_time for entry in entries}
    for event in dossier.payment_events:
        count = actual.pop(str(event.event_id), 0)
        if count != int(event.published_at is not None):
            since = max(event.created_at, event.published_at or event.created_at)
            expected = f"{int(event.published_at is not None)} entry of {event.topic} {event.event_id}"
            yield Fault(expected, str(count), since, excusable=False)
    for about, count in actual.items():
        if count > 1:
            yield Fault(f"1 entry of event {about}", str(count), times[about], excusable=False)


@rule("audit_delivered", "No entry waits to be delivered to the audit log.", patience=Patience.MESSAGES, needs=(MONGO,))
def delivered(dossier: Dossier, _: Context) -> Iterator[Fault]:
    for entry in dossier.undelivered:
        yield Fault("delivered", f"{entry.event} waits", entry.create_time, excusable=False)

"""Rules about the audit log: each step of a payment is in it exactly once, and nothing that has not happened."""

from collections import Counter
from collections.abc import Iterator

from fc.audit.model import AuditEntry, Dossier, Payment
from fc.audit.rules.rule import MONGO, Context, Fault, Patience, rule

PUBLISHED = "event.published"


def _entries(dossier: Dossier) -> list[AuditEntry]:
    """Give what is in the log and what is about to be; an entry may be seen at both ends of its delivery."""
    there = {entry.event_id for entry in dossier.audit}
    return dossier.audit + [entry for entry in dossier.undelivered if entry.event_id not in there]


def _expected(dossier: Dossier, payment: Payment) -> dict[str, int]:
    return {
        "payment.created": 1,
        "invoice.created": int(payment.invoice_url is not None),
        "payment.paid": int(payment.status == "PAID"),
        "payment.expired": int(payment.status == "EXPIRED"),
        "payment.failed": int(payment.status == "FAILED"),
        "payment.retried": payment.retry_count,
        "payment.anomaly": len(dossier.anomalies),
    }


@rule("audit_steps", "The audit log has each step of a payment exactly once.",
      patience=Patience.MESSAGES, needs=(MONGO,))  # fmt: skip
def steps(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare the steps with what the payment has been through."""
    entries = _entries(dossier)
    found = Counter(entry.event for entry in entries)
    wanted = _expected(dossier, dossier.payment) if dossier.payment else {"payment.anomaly": len(dossier.anomalies)}
    moments = [entry.create_time for entry in entries] + [item.create_time for item in dossier.anomalies]
    since = max(moments + [payment.update_time for payment in dossier.payments], default=None)
    for event in sorted((wanted.keys() | found.keys()) - {PUBLISHED}):
        if wanted.get(event, 0) != found[event]:
            yield Fault(f"{wanted.get(event, 0)} {event}", str(found[event]), since, excusable=False)


@rule("audit_published", "The audit log has every published event of a payment exactly once.",
      patience=Patience.MESSAGES, needs=(MONGO,))  # fmt: skip
def published(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Compare with the outbox, as far as it has not been purged; what was published must not be told twice."""
    entries = [entry for entry in _entries(dossier) if entry.event == PUBLISHED]
    found = Counter(entry.about for entry in entries)
    told = {entry.about: entry.create_time for entry in entries}
    for event in dossier.payment_events:
        count = found.pop(str(event.event_id), 0)
        if count != int(event.published_at is not None):
            since = max(event.created_at, event.published_at or event.created_at)
            wanted = f"{int(event.published_at is not None)} entry of {event.topic} {event.event_id}"
            yield Fault(wanted, str(count), since, excusable=False)
    for about, count in found.items():
        if count > 1:
            yield Fault(f"1 entry of event {about}", str(count), told[about], excusable=False)


@rule(
    "audit_delivered", "Nothing stays behind on its way to the audit log.", patience=Patience.MESSAGES, needs=(MONGO,)
)
def delivered(dossier: Dossier, _: Context) -> Iterator[Fault]:
    """Look for entries that MongoDB should have by now."""
    for entry in dossier.undelivered:
        yield Fault("delivered", f"{entry.event} waits", entry.create_time, excusable=False)

"""The counts of the first page that need attention. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from console.model import families as fam
from console.model.audits import AuditRun
from console.model.readings import Readings
from console.model.steps import GUIDES, Step
from console.model.topology import OUTBOX_STUCK_S, WORKERS
from console.model.written import at_least, seconds, whole

# Notes of one count.
MAX_NOTES = 4


@dataclass(frozen=True, slots=True)
class Tile:
    """One count that needs attention: `kind` and `text` are those of its badge, `leads` are the addresses of notes."""

    name: str
    title: str
    number: str
    kind: str
    text: str
    href: str
    notes: Sequence[str] = ()
    leads: Mapping[str, str] = field(default_factory=dict)


def outbox_tile(readings: Mapping[str, Readings]) -> Tile:
    """Count the events that have not left, and say where."""
    pending = {name: readings[name].largest(fam.PENDING) for name in WORKERS}
    parked = {name: readings[name].largest(fam.PARKED) or 0.0 for name in WORKERS}
    oldest = max((readings[name].largest(fam.OLDEST) or 0.0 for name in WORKERS), default=0.0)
    known = [value for value in pending.values() if value is not None]
    unknown = [f"not known of {name}" for name, value in pending.items() if value is None]
    busy = [name for name in WORKERS if pending[name]]
    notes = [f"{name}: {whole(pending[name])} pending, {whole(parked[name])} parked" for name in busy]
    kind, text = ("off", "unknown") if unknown else ("good", "nothing waits")
    if any(parked.values()):
        kind, text = "bad", f"{whole(sum(parked.values()))} parked"
    elif sum(known):
        kind, text = ("bad" if oldest > OUTBOX_STUCK_S else "warn"), f"oldest {seconds(oldest)}"
    number = at_least(sum(known), is_whole=not unknown)
    return Tile("outbox", "Events in outboxes", number, kind, text, "/outbox", [*notes, *unknown])


def anomalies_tile(payments: Readings) -> Tile:
    """Count the open anomalies of payments, and the refunds that wait for a person."""
    anomalies, refunds = _open(payments, fam.ANOMALIES, "kind"), _open(payments, fam.REFUNDS, "status")
    open_ones = None if anomalies is None else sum(anomalies.values())
    notes = [f"{whole(count)} {name.replace('_', ' ')}" for name, count in (anomalies or {}).items() if count]
    notes += [f"{_refunds(count)} {name.lower()}" for name, count in (refunds or {}).items() if count]
    notes += ["refunds are not known"] if refunds is None else []
    kind, text = "good", "no money in doubt"
    if waiting := sum((refunds or {}).values()):
        kind, text = "bad", f"{_refunds(waiting)} to be handled"
    elif open_ones:
        kind, text = "warn", "to be resolved"
    elif open_ones is None or refunds is None:
        kind, text = "off", "unknown"
    return Tile("money", "Open anomalies", whole(open_ones), kind, text, "/money", notes)


def _refunds(count: float) -> str:
    return f"{whole(count)} refund" if count == 1 else f"{whole(count)} refunds"


def _open(payments: Readings, name: str, label: str) -> dict[str, float] | None:
    """Return a gauge by the values of its label; None when it is not shown."""
    names = payments.values_of(name, label)
    return {each: payments.largest(name, **{label: each}) or 0.0 for each in names} or None


def audit_tile(runs: Sequence[AuditRun] | None, now: datetime) -> Tile:
    """Show the last run of the auditor; `runs` is None when they could not be read."""
    title = "Violations at the last audit"
    if runs is None:
        return Tile("audit", title, "-", "off", "unknown", "/audits")
    if not runs:
        return Tile("audit", title, "-", "off", "no run yet", "/audits", ["fc audit --publish"])
    last = runs[0]
    ended = f"{seconds((now - last.ended_at).total_seconds())} ago, {whole(last.summary['orders'])} orders"
    return Tile(
        "audit", title, whole(last.summary["violations"]), last.kind, last.verdict, f"/audits/{last.number}", [ended]
    )


def letters_tile(topics: Sequence[str] | None, unread: int = 0) -> Tile:
    """Count the open dead letters by their source topics; `topics` is None when they could not be read.

    `unread` is how many more letters there are, open or handled.
    """
    title = "Open dead letters"
    if topics is None:
        return Tile("letters", title, "-", "off", "unknown", "/dead-letters")
    notes = [f"{count} of {topic}" for topic, count in Counter(topics).most_common(MAX_NOTES)]
    notes += [f"{whole(unread)} more are not read"] if unread else []
    kind, text = ("off", "unknown") if unread else ("good", "every message was applied")
    if topics:
        kind, text = "bad", "to be replayed or discarded"
    number = at_least(len(topics), is_whole=not unread)
    return Tile("letters", title, number, kind, text, "/dead-letters", notes)


def waiting_tile(waits: Sequence[tuple[Step, float]], customers: int, *, is_whole: bool) -> Tile:
    """Count the orders that wait for the platform, from their steps and ages; customers take their time.

    Without `is_whole` a source did not answer or was read in part, and there may be more.
    """
    counts = Counter(step for step, _ in waits)
    ages = {step: max(age_s for each, age_s in waits if each == step) for step in counts}
    leads = {
        f"{count} for {GUIDES[step].title.lower()}, oldest {seconds(ages[step])}": f"/orders?step={step.value}"
        for step, count in counts.most_common(MAX_NOTES)
    }
    if customers:
        leads[f"{whole(customers)} wait for their customers"] = f"/orders?step={Step.CUSTOMER.value}"
    kind, text = ("warn", f"oldest {seconds(max(ages.values()))}") if waits else ("good", "nothing is stuck")
    if not waits and not is_whole:
        kind, text = "off", "not everything is known"
    number = at_least(len(waits), is_whole=is_whole)
    return Tile("waiting", "Orders that wait", number, kind, text, "/waiting", list(leads), leads)

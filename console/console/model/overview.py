"""What the first page shows of the platform, from the rings. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from console.model import families as fam
from console.model.audits import AuditRun
from console.model.lines import Chart, Line
from console.model.readings import Readings
from console.model.standing import Standing
from console.model.topology import OUTBOX_STUCK_S, SERVICES, WORKERS, Topology
from console.model.written import per_second, seconds, whole

CHECKOUT = "/v1/orders/checkout"


@dataclass(frozen=True, slots=True)
class ServiceCard:
    """One service: how it is, what it does in a second, and how late it answers."""

    name: str
    standing: Standing
    requests: str
    p95: str
    errors: str
    processes: int
    version: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One count that somebody should look at: `kind` and `text` are those of its badge."""

    name: str
    title: str
    number: str
    kind: str
    text: str
    href: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Overview:
    """Everything on the page. `unread` names the sources that did not answer, each with the reason."""

    topology: Topology
    cards: Sequence[ServiceCard]
    tiles: Sequence[Tile]
    sparks: Sequence[Chart]
    orders: Sequence[Mapping[str, Any]] = ()
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """What is wrong, in one sentence."""
        bad = [card for card in self.cards if card.standing.state not in ("ready", "unknown")]
        if bad:
            return "; ".join(f"{card.name} is {card.standing.state}" for card in bad)
        unknown = [card.name for card in self.cards if card.standing.state == "unknown"]
        return f"Not known yet: {', '.join(unknown)}" if unknown else "All services are ready"

    @property
    def kind(self) -> str:
        """The kind of the badge of the whole."""
        kinds = {card.standing.kind for card in self.cards}
        return next((kind for kind in ("bad", "warn", "off") if kind in kinds), "good")


def card(name: str, standing: Standing, readings: Readings, processes: int) -> ServiceCard:
    requests = {"http_route": fam.NO_PROBES}
    rate = readings.rate(f"{fam.REQUESTS}_count", **requests)
    failed = readings.rate(f"{fam.REQUESTS}_count", error_type="!", **requests)
    late = readings.quantile(0.95, fam.REQUESTS, **requests)
    version = ", ".join(readings.values_of(fam.BUILD, "version"))
    return ServiceCard(name, standing, per_second(rate), seconds(late), per_second(failed or 0.0), processes, version)


def outbox_tile(readings: Mapping[str, Readings]) -> Tile:
    """Count the events that have not left, and say where."""
    pending = {name: readings[name].largest(fam.PENDING) for name in WORKERS}
    parked = {name: readings[name].largest(fam.PARKED) or 0.0 for name in WORKERS}
    oldest = max((readings[name].largest(fam.OLDEST) or 0.0 for name in WORKERS), default=0.0)
    known = [value for value in pending.values() if value is not None]
    unknown = [f"not known of {name}" for name, value in pending.items() if value is None]
    busy = [name for name in WORKERS if pending[name]]
    notes = [f"{name}: {whole(pending[name])} pending, {whole(parked[name])} parked" for name in busy]
    kind, text = "good", "nothing waits"
    if not known:
        kind, text = "off", "unknown"
    elif any(parked.values()):
        kind, text = "bad", f"{whole(sum(parked.values()))} parked"
    elif sum(known):
        kind, text = ("bad" if oldest > OUTBOX_STUCK_S else "warn"), f"oldest {seconds(oldest)}"
    number = whole(sum(known)) if known else "-"
    return Tile("outbox", "Events in outboxes", number, kind, text, "/outbox", [*notes, *unknown])


def anomalies_tile(payments: Readings, refunds: int | None) -> Tile:
    """Count the open anomalies of payments, and the refunds that wait for a person."""
    names = payments.values_of(fam.ANOMALIES, "kind")
    kinds = {name: payments.largest(fam.ANOMALIES, kind=name) or 0.0 for name in names}
    open_ones = sum(kinds.values()) if names else None
    notes = [f"{whole(count)} {name.replace('_', ' ')}" for name, count in kinds.items() if count]
    if refunds:
        return Tile("money", "Open anomalies", whole(open_ones), "bad", f"{refunds} refunds due", "/money", notes)
    kind = "off" if open_ones is None else "warn" if open_ones else "good"
    text = "unknown" if open_ones is None else "to be resolved" if open_ones else "no money in doubt"
    return Tile("money", "Open anomalies", whole(open_ones), kind, text, "/money", notes)


def audit_tile(runs: Sequence[AuditRun] | None, now: datetime) -> Tile:
    """Tell of the last run of the auditor; None when nobody can say."""
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


def sparks(readings: Mapping[str, Readings], now: float) -> list[Chart]:
    """Draw orders, the checkout, events and errors over the last fifteen minutes."""
    everywhere = Readings([ring for name in SERVICES for ring in readings[name].rings])
    workers = Readings([ring for name in WORKERS for ring in readings[name].rings])
    placed = everywhere.rate_points(fam.ORDERS, to="created")
    checkout = readings["orderfc"].quantile_points(0.95, fam.REQUESTS, http_route=CHECKOUT)
    delay = workers.quantile_points(0.95, fam.DELAY)
    errors = everywhere.rate_points(f"{fam.REQUESTS}_count", error_type="!", http_route=fam.NO_PROBES)
    return [
        _spark("orders", "Orders placed", placed, per_second, now),
        _spark("checkout", "Checkout, p95", checkout, seconds, now),
        _spark("delay", "Events until applied, p95", delay, seconds, now),
        _spark("errors", "Errors of requests", errors, per_second, now),
    ]


def _spark(name: str, title: str, points: Any, write: Any, now: float) -> Chart:
    return Chart(name, title, [Line(title, points)], write, now, width=240, height=48)

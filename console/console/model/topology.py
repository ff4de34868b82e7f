"""The platform as a graph: its parts, what flows between them, and how each is. Pure; the drawing is a template's."""

from collections.abc import Mapping
from dataclasses import dataclass

from console.model import families as fam
from console.model.readings import Readings
from console.model.standing import Standing
from console.model.written import per_second, seconds

# As the alerts OutboxStuck and XenditFailing have it.
OUTBOX_STUCK_S = 60.0
OUTBOX_LATE_S = 10.0
MANY_FAIL = 0.2

SERVICES = ("productfc", "orderfc", "paymentfc", "userfc")
WORKERS = ("productfc", "orderfc", "paymentfc")
CALLBACKS = "/v1/payments/xendit/webhook|/v1/payments/xendit/refund-webhook"


@dataclass(frozen=True, slots=True)
class Node:
    """A part of the platform. `kind` is that of a badge, `text` says the state, `note` adds a figure."""

    name: str
    title: str
    kind: str
    text: str
    note: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """What flows from one part to another: `rate` a second, how many are waiting or late, and what fails."""

    source: str
    target: str
    what: str
    kind: str
    rate: str
    waiting: str = ""
    failures: str = ""

    @property
    def name(self) -> str:
        return f"{self.source}-{self.target}"

    @property
    def short(self) -> str:
        """What is written beside the rate: what is wrong, else what waits, else nothing."""
        return self.failures or self.waiting

    @property
    def word(self) -> str:
        """The state in a word."""
        rests = "rests" if self.rate != "-" else "unknown"
        return {"good": "flows", "off": rests, "warn": "late"}.get(self.kind, "fails")

    @property
    def moves(self) -> bool:
        return self.rate not in ("-", "0/s")


@dataclass(frozen=True, slots=True)
class Topology:
    """The parts and the edges, by name."""

    nodes: Mapping[str, Node]
    edges: Mapping[str, Edge]


def topology(standings: Mapping[str, Standing], readings: Mapping[str, Readings]) -> Topology:
    """Draw what is known of the platform now."""
    nodes = [_service(name, standings[name], readings[name]) for name in SERVICES]
    nodes += [_dependency(f"{name}-db", "PostgreSQL", "database", {name: standings[name]}) for name in SERVICES]
    nodes += [
        _dependency("kafka", "Kafka", "kafka", {name: standings[name] for name in WORKERS}),
        _dependency("redis", "Redis", "redis", standings),
        _dependency("mongodb", "MongoDB", "mongodb", {"paymentfc": standings["paymentfc"]}),
        _xendit(readings["paymentfc"]),
    ]
    edges = [
        _calls("orderfc", "productfc", "prices and stock", readings["orderfc"], fam.CALLS, url_template="/v1/products"),
        _rpc(readings["paymentfc"]),
        _calls("paymentfc", "xendit", "invoices, refunds", readings["paymentfc"], fam.CALLS),
        _callbacks(readings["paymentfc"]),
        *(_published(name, readings[name]) for name in WORKERS),
        *(_consumed(name, readings[name]) for name in WORKERS),
    ]
    return Topology({node.name: node for node in nodes}, {edge.name: edge for edge in edges})


def _service(name: str, standing: Standing, readings: Readings) -> Node:
    text = standing.state
    if standing.state == "degraded":
        text = f"no {', '.join(standing.degraded)}"
    rate = readings.rate(f"{fam.REQUESTS}_count", http_route=fam.NO_PROBES)
    return Node(name, name, standing.kind, text, f"{per_second(rate)} requests", f"/services/{name}")


def _dependency(name: str, title: str, check: str, standings: Mapping[str, Standing]) -> Node:
    """Tell the state of a part from the checks of those that use it."""
    answers = {service: standing.checks[check] for service, standing in standings.items() if check in standing.checks}
    failing = [service for service, text in answers.items() if text != "ok"]
    if not answers:
        return Node(name, title, "off", "unknown", "not reported")
    if not failing:
        return Node(name, title, "good", "answers")
    kind = "bad" if len(failing) == len(answers) else "warn"
    return Node(name, title, kind, "does not answer", f"to {', '.join(failing)}")


def _failing(readings: Readings, counter: str, **labels: str) -> tuple[float | None, str, str]:
    """Return the rate of calls, the kind of their edge, and what fails of them."""
    rate = readings.rate(counter, **labels)
    failed = readings.rate(counter, **labels, error_type="!") or 0.0
    if rate is None:
        return None, "off", ""
    if not failed:
        return rate, "good" if rate else "off", ""
    share = failed / rate if rate else 1.0
    return rate, "bad" if share > MANY_FAIL else "warn", f"{share:.0%} fail"


def _calls(source: str, target: str, what: str, readings: Readings, name: str, **labels: str) -> Edge:
    if target == "xendit":
        labels = {"url_template": "!/v1/products"}
    rate, kind, failures = _failing(readings, f"{name}_count", **labels)
    late = readings.quantile(0.95, name, **labels)
    return Edge(source, target, what, kind, per_second(rate), f"p95 {seconds(late)}" if late else "", failures)


def _rpc(readings: Readings) -> Edge:
    rate = readings.rate(f"{fam.RPC}_count")
    failed = readings.rate(f"{fam.RPC}_count", rpc_response_status_code="!OK") or 0.0
    late = readings.quantile(0.95, fam.RPC)
    kind = "off" if not rate else "warn" if failed else "good"
    failures = f"{failed / rate:.0%} fail" if rate and failed else ""
    waiting = f"p95 {seconds(late)}" if late else ""
    return Edge("paymentfc", "userfc", "e-mail of the payer", kind, per_second(rate), waiting, failures)


def _callbacks(readings: Readings) -> Edge:
    rate, kind, failures = _failing(readings, f"{fam.REQUESTS}_count", http_route=CALLBACKS)
    return Edge("xendit", "paymentfc", "callbacks", kind, per_second(rate), "", failures)


def _xendit(readings: Readings) -> Node:
    rate, kind, failures = _failing(readings, f"{fam.CALLS}_count", url_template="!/v1/products")
    text = failures or ("answers" if rate else "not called" if rate is not None else "unknown")
    return Node("xendit", "Xendit", kind, text)


def _published(service: str, readings: Readings) -> Edge:
    """Say what a service sends, and what waits in its outbox."""
    rate = readings.rate(fam.SENT, error_type="")
    failed = readings.grown(fam.SENT, error_type="!") or 0.0
    pending, parked = readings.largest(fam.PENDING), readings.largest(fam.PARKED) or 0.0
    oldest = readings.largest(fam.OLDEST) or 0.0
    kind = "off" if pending is None else "good" if rate else "off"
    if failed or oldest > OUTBOX_LATE_S:
        kind = "warn"
    if parked or oldest > OUTBOX_STUCK_S:
        kind = "bad"
    waiting = f"{pending:,.0f} waiting, {seconds(oldest)}" if pending else ""
    failures = f"{parked:,.0f} parked" if parked else f"{failed:,.0f} tries failed" if failed else ""
    return Edge(service, "kafka", "events of its outbox", kind, per_second(rate), waiting, failures)


def _consumed(service: str, readings: Readings) -> Edge:
    """Say what a service applies, what waits for it, and what it could not apply."""
    rate, lag = readings.rate(fam.CONSUMED), readings.latest(fam.LAG)
    retrying, letters = readings.latest(fam.RETRYING) or 0.0, readings.grown(fam.LETTERS) or 0.0
    kind = "off" if lag is None else "good" if rate else "off"
    if lag or retrying:
        kind = "warn"
    if letters:
        kind = "bad"
    waiting = f"lag {lag:,.0f}" if lag else ""
    failures = f"{letters:,.0f} dead letters" if letters else f"{retrying:,.0f} retried" if retrying else ""
    return Edge("kafka", service, "events applied", kind, per_second(rate), waiting, failures)

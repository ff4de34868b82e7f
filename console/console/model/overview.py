"""What the first page shows of the platform, from the rings. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from console.model import families as fam
from console.model.lines import Chart, Line
from console.model.readings import Readings
from console.model.standing import Standing
from console.model.tiles import Tile
from console.model.topology import SERVICES, WORKERS, Topology
from console.model.written import per_second, seconds

CHECKOUT = "/v1/orders/checkout"


@dataclass(frozen=True, slots=True)
class ServiceCard:
    """One service: its state, its requests and errors a second, and the p95 of their duration."""

    name: str
    standing: Standing
    requests: str
    p95: str
    errors: str
    processes: int
    version: str


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
        _spark("errors", "Requests answered 5xx", errors, per_second, now),
    ]


def _spark(name: str, title: str, points: Any, write: Any, now: float) -> Chart:
    return Chart(name, title, [Line(title, points)], write, now, width=240, height=48)

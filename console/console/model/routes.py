"""The routes of a service, and how each has answered in the last fifteen minutes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from console.model import families as fam
from console.model.readings import Readings, quantile
from console.model.ring import Ring, Series

PROBES = frozenset(fam.NO_PROBES[1:].split("|"))


@dataclass(slots=True)
class Route:
    """One method and route: requests, those answered 5xx and 4xx, and two percentiles in seconds."""

    method: str
    path: str
    requests: float = 0.0
    failed: float = 0.0
    refused: float = 0.0
    buckets: dict[float, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def p50(self) -> float | None:
        return quantile(0.5, self.buckets)

    @property
    def p95(self) -> float | None:
        return quantile(0.95, self.buckets)

    @property
    def is_probe(self) -> bool:
        return self.path in PROBES


def routes(readings: Readings) -> Sequence[Route]:
    """List the routes that were called, the busiest first; probes at the end."""
    found: dict[tuple[str, str], Route] = {}
    for ring in readings.rings:
        for series, grown in _grown(ring, f"{fam.REQUESTS}_count"):
            _count(_route(found, series.labels), series.labels.get("http_response_status_code", ""), grown)
        for series, grown in _grown(ring, f"{fam.REQUESTS}_bucket"):
            _route(found, series.labels).buckets[float(series.labels["le"])] += grown
    return sorted(
        (route for route in found.values() if route.requests),
        key=lambda route: (route.is_probe, -route.requests, route.path),
    )


def _grown(ring: Ring, name: str) -> list[tuple[Series, float]]:
    found = ring.find(name, {})
    totals = dict.fromkeys((series.number for series in found), 0.0)
    for look in ring.looks:
        for number, grown in (look.grown or {}).items():
            if number in totals:
                totals[number] += grown
    return [(series, totals[series.number]) for series in found]


def _route(found: dict[tuple[str, str], Route], labels: Mapping[str, str]) -> Route:
    method, path = labels.get("http_request_method", ""), labels.get("http_route", "")
    return found.setdefault((method, path), Route(method, path))


def _count(route: Route, status: str, grown: float) -> None:
    route.requests += grown
    route.failed += grown if status.startswith("5") else 0.0
    route.refused += grown if status.startswith("4") else 0.0

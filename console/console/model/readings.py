"""Figures of a service from the rings of its processes: sums, rates, percentiles, and how they went."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan

from console.model.ring import Labels, Look, Ring

# A rate is taken over the last minute.
RATE_S = 60.0
# The number of readings behind each point of a percentile's line.
MOVING = 6

Point = tuple[float, float | None]


@dataclass(frozen=True)
class Readings:
    """What the processes of one service show. Figures are None where nothing is known.

    Labels choose series as `Series.fits` says.
    """

    rings: Sequence[Ring]
    now: Callable[[], float] = time.time

    def latest(self, name: str, **labels: str) -> float | None:
        """Return the sum of the last values over all processes and series."""
        found = [value for ring in self.rings for value in _last(ring, name, labels)]
        return sum(found) if found else None

    def largest(self, name: str, **labels: str) -> float | None:
        """Return the largest of the last values: of a gauge that each process sets to the same figure."""
        return max((value for ring in self.rings for value in _last(ring, name, labels)), default=None)

    def values_of(self, name: str, label: str) -> list[str]:
        """Return the values that a label has."""
        found = {series.labels.get(label, "") for ring in self.rings for series in ring.find(name, {})}
        return sorted(found - {""})

    def grown(self, name: str, **labels: str) -> float | None:
        """Return how much counters have grown in the last minute; None without two looks."""
        found = [self._grown(ring, name, labels) for ring in self.rings]
        known = [grown for grown, _ in found if grown is not None]
        return sum(known) if known else None

    def rate(self, name: str, **labels: str) -> float | None:
        """Return the growth of counters per second in the last minute."""
        found = [self._grown(ring, name, labels) for ring in self.rings]
        rates = [grown / span for grown, span in found if grown is not None and span]
        return sum(rates) if rates else None

    def quantile(self, share: float, name: str, **labels: str) -> float | None:
        """Return a percentile of a histogram over the last minute; None when it has counted nothing."""
        total: dict[float, float] = {}
        for ring in self.rings:
            bounds = _bounds(ring, name, labels)
            total |= dict.fromkeys(bounds.values(), 0.0) | total
            for look in ring.since(self._after()):
                _add(total, bounds, look)
        return quantile(share, total)

    def gauge_points(self, name: str, **labels: str) -> list[Point]:
        """Return the sum of a gauge at each look."""
        slots: dict[float, float | None] = {}
        for ring in self.rings:
            numbers = [series.number for series in ring.find(name, labels)]
            for look in ring.looks:
                known = [value for number in numbers if not isnan(value := look.value(number))]
                _put(slots, look.at, sum(known) if known else None)
        return sorted(slots.items())

    def rate_points(self, name: str, **labels: str) -> list[Point]:
        """Return the growth per second at each look."""
        slots: dict[float, float | None] = {}
        for ring in self.rings:
            numbers = {series.number for series in ring.find(name, labels)}
            # A counter that has not begun has counted nothing, where others of its name are shown.
            for look in list(ring.looks)[1:] if ring.find(name, {}) else ():
                _put(slots, look.at, None if look.grown is None else _sum(look.grown, numbers) / look.seconds)
        return sorted(slots.items())

    def quantile_points(self, share: float, name: str, **labels: str) -> list[Point]:
        """Return a percentile over the half minute before each look."""
        slots: dict[float, dict[float, float] | None] = {}
        edges: set[float] = set()
        for ring in self.rings:
            bounds = _bounds(ring, name, labels)
            edges |= set(bounds.values())
            for look in list(ring.looks)[1:]:
                if look.grown is None:
                    slots.setdefault(look.at, None)
                else:
                    counted = slots[look.at] = slots.get(look.at) or defaultdict(float)
                    _add(counted, bounds, look)
        return _moving(share, slots, edges)

    def _after(self) -> float:
        # A look that is exactly so old tells of the time before it.
        return self.now() - RATE_S + 0.001

    def _grown(self, ring: Ring, name: str, labels: Labels) -> tuple[float | None, float]:
        """Return the growth of counters in a process, and in how many seconds; None when nothing is known."""
        numbers = {series.number for series in ring.find(name, labels)}
        looks = [look for look in ring.since(self._after()) if look.grown is not None]
        if not looks or not ring.find(name, {}):
            return None, 0.0
        return sum(_sum(look.grown or {}, numbers) for look in looks), sum(look.seconds for look in looks)


def _last(ring: Ring, name: str, labels: Labels) -> list[float]:
    if not ring.looks:
        return []
    look = ring.looks[-1]
    return [value for series in ring.find(name, labels) if not isnan(value := look.value(series.number))]


def _sum(grown: Mapping[int, float], numbers: set[int]) -> float:
    return sum(value for number, value in grown.items() if number in numbers)


def _bounds(ring: Ring, name: str, labels: Labels) -> dict[int, float]:
    return {series.number: float(series.labels["le"]) for series in ring.find(f"{name}_bucket", labels)}


def _add(total: dict[float, float], bounds: Mapping[int, float], look: Look) -> None:
    for number, grown in (look.grown or {}).items():
        bound = bounds.get(number)
        if bound is not None:
            total[bound] += grown


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """Return a percentile of cumulative buckets by their upper bounds, linear within one; None of an empty histogram.

    One that lies in the last bucket is the largest finite bound.
    """
    bounds = sorted(buckets)
    if not bounds or buckets[bounds[-1]] <= 0:
        return None
    wanted, below, low = share * buckets[bounds[-1]], 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= wanted:
            inside = buckets[bound] - below
            return low if bound == inf else low + (bound - low) * ((wanted - below) / inside if inside else 1.0)
        below, low = buckets[bound], bound
    return low


def _moving(share: float, slots: Mapping[float, dict[float, float] | None], edges: set[float]) -> list[Point]:
    points: list[Point] = []
    moments = sorted(slots)
    for index, at in enumerate(moments):
        total = dict.fromkeys(edges, 0.0)
        for near in moments[max(index - MOVING + 1, 0) : index + 1]:
            for bound, grown in (slots[near] or {}).items():
                total[bound] += grown
        points.append((at, None if slots[at] is None else quantile(share, total)))
    return points


def _put(slots: dict[float, float | None], at: float, value: float | None) -> None:
    """Add what one process had at a moment; a gap of one hides nothing of the others."""
    old = slots.get(at)
    slots[at] = value if old is None else old if value is None else old + value

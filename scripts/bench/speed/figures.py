"""What is made of the numbers of several rounds."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: its figures by name, and microseconds of CPU per request (or order, or event) by process.

    `shares` are further averages of the row, such as the milliseconds from checkout to each step of an order.
    """

    figures: dict[str, float]
    cpu_us: dict[str, float] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Return the median, the smallest and the largest value, and all of them in the order of the rounds."""
    shown = [rounded(value) for value in values]
    return {"median": rounded(statistics.median(values)), "min": min(shown), "max": max(shown), "values": shown}


def rounded(value: float) -> float:
    """Round to four significant digits, and whole numbers to ones."""
    return float(f"{value:.4g}") if abs(value) < 1000 else float(round(value))


def together(samples: Sequence[Sample]) -> dict[str, Any]:
    """Summarize the samples of one row: figures with their spread, medians of the rest."""
    return {
        "figures": {name: summary([one.figures[name] for one in samples]) for name in samples[0].figures},
        "cpu_us": _medians([one.cpu_us for one in samples]),
        "shares": _medians([one.shares for one in samples]),
    }


def _medians(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in rounds for name in one)
    return {name: rounded(statistics.median(one.get(name, 0.0) for one in rounds)) for name in names}


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value below which this share of them lies. Raises ValueError without values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def rate(steps: Sequence[tuple[float, int]]) -> float:
    """Return the events a second of work that is recorded in steps of (seconds, events), in any order.

    The first step's events were done before its time, so only the others count. Raises ValueError for fewer than two.
    """
    ordered = sorted(steps)
    if len(ordered) < 2 or ordered[-1][0] <= ordered[0][0]:
        raise ValueError("all events were recorded at one moment: more events are needed")
    return sum(count for _, count in ordered[1:]) / (ordered[-1][0] - ordered[0][0])


def per_unit_us(before: dict[str, float], after: dict[str, float], units: float) -> dict[str, float]:
    """Return the microseconds of CPU of each process per unit between two readings of CPU seconds."""
    if units <= 0:
        return {}
    return {
        name: (after[name] - before[name]) * 1e6 / units
        for name in after
        if name in before and after[name] > before[name]
    }

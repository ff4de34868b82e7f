"""Which metrics an expression reads, and whether docs/telemetry.yaml, Prometheus or the rules have them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from fc.stack.layout import SERVICES
from observability.rules import ROOT, recorded

PAGE = Path("docs/telemetry.yaml")
# What Prometheus adds to each series of a target, and to the buckets of a histogram.
EVERYWHERE = frozenset({"job", "instance", "le"})
# Not of this project: Prometheus' own and the collector's.
FOREIGN: dict[str, dict[str, Any]] = {
    "up": {},
    "otelcol_exporter_send_failed_spans": {"exporter": "its name"},
    "otelcol_receiver_refused_spans": {"receiver": "its name"},
    "otelcol_exporter_queue_size": {"exporter": "its name", "data_type": "what it holds"},
    "otelcol_exporter_queue_capacity": {"exporter": "its name", "data_type": "what it holds"},
}
_SUFFIXES = ("_bucket", "_count", "_sum")
_ALTERNATIVES = re.compile(r"[\w ./|-]+")

Known = dict[str, dict[str, Any]]
"""The labels of each metric, each with the list of its values or a sentence about them."""


@dataclass
class Reading:
    """What an expression selects, as pairs of metric and matched labels with their values; and what it groups by."""

    selected: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)
    grouped: set[str] = field(default_factory=set)

    @property
    def metrics(self) -> set[str]:
        return {name for name, _ in self.selected}


def known(root: Path = ROOT) -> Known:
    """Return all metrics with their labels."""
    own = yaml.safe_load((root / PAGE).read_text(encoding="utf-8"))["metrics"]
    ratios: Known = {name: {"slo": "its name"} for name in recorded(root)}
    return {name: dict(metric["labels"]) for name, metric in own.items()} | FOREIGN | ratios


def reading(expr: str) -> Reading:
    """Parse an expression, in which Grafana's variables are filled in. Raises ValueError when it is none."""
    found = Reading()

    def visit(node: promql_parser.Expr) -> None:
        match node:
            case promql_parser.VectorSelector():
                found.selected += _selected(node)
            case promql_parser.AggregateExpr() if node.modifier is not None:
                found.grouped |= set(node.modifier.labels)
            case _:
                pass

    filled = expr.replace("$__rate_interval", "1m").replace("$job", SERVICES[0])
    promql_parser.walk(promql_parser.parse(filled), visit)
    return found


def _selected(node: promql_parser.VectorSelector) -> Iterator[tuple[str, dict[str, list[str]]]]:
    values = {one.name: one.value for one in node.matchers.matchers}
    labels = {
        # Any text is a regular expression, but only these are lists of values.
        name: value.split("|") if _ALTERNATIVES.fullmatch(value) else []
        for name, value in values.items()
        if name != "__name__"
    }
    names = [node.name] if node.name else [one for one in FOREIGN if re.fullmatch(values.get("__name__", ""), one)]
    yield from ((name, labels) for name in names)


def unknown(expr: str, known: Known) -> Iterator[str]:
    """Yield what an expression reads and nobody exports: metrics, labels of them, and values of these."""
    found = reading(expr)
    grouped = set(found.grouped) - EVERYWHERE
    for name, labels in found.selected:
        own = known.get(name, known.get(_histogram(name)))
        if own is None:
            yield f"the metric {name}"
            continue
        grouped -= own.keys()
        for label in labels.keys() - EVERYWHERE:
            yield from _unknown_values(name, label, labels[label], own)
    if found.selected:
        yield from (f"the label {label}" for label in sorted(grouped))


def _unknown_values(name: str, label: str, values: list[str], own: dict[str, Any]) -> Iterator[str]:
    if label not in own:
        yield f"the label {label} of {name}"
    elif isinstance(own[label], list):
        yield from (f"{label}={value!r} of {name}" for value in values if value not in own[label])


def _histogram(name: str) -> str:
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name

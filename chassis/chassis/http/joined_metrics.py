"""One text of metrics for the processes of a service, from the text of each."""

import operator
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

_ADDED = ("counter", "histogram", "summary")
# Gauges of what each process has for itself.
_ADDED_GAUGES = frozenset({"process_virtual_memory_bytes", "process_resident_memory_bytes", "process_open_fds"})

Labels = tuple[tuple[str, str], ...]


class _Joined:
    """Metric families by name, and their values. It is a registry as far as `generate_latest` needs one."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}
        self._values: dict[str, dict[tuple[str, Labels], float]] = {}

    def add(self, text: str) -> None:
        for family in text_string_to_metric_families(text):
            self._families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            values = self._values.setdefault(family.name, {})
            join = _rule(family.name, family.type)
            for sample in family.samples:
                key = (sample.name, tuple(sample.labels.items()))
                values[key] = join(values[key], sample.value) if key in values else sample.value

    def collect(self) -> Iterator[Metric]:
        for name, family in self._families.items():
            for (sample, labels), value in self._values[name].items():
                family.add_sample(sample, dict(labels), value)
            yield family


def _rule(name: str, kind: str) -> Callable[[float, float], float]:
    if kind in _ADDED or name in _ADDED_GAUGES:
        return operator.add
    # The moment since which the sums grow.
    return min if name.endswith("_created") or name == "process_start_time_seconds" else max


def joined(texts: Iterable[bytes]) -> bytes:
    """Return the metrics of all: counters and histograms are added, of a gauge the largest value stands."""
    registry = _Joined()
    for text in texts:
        registry.add(text.decode())
    return generate_latest(registry)

"""One registry of metrics for the processes of a service, from what each has counted."""

import operator
from collections.abc import Callable, Iterable, Iterator
from math import nan
from typing import Any

import orjson
from prometheus_client import Metric
from prometheus_client.core import Exemplar
from prometheus_client.registry import Collector

_ADDED = ("counter", "histogram", "summary")
# Gauges of what each process has for itself.
_ADDED_GAUGES = frozenset(
    {"process_virtual_memory_bytes", "process_resident_memory_bytes", "process_open_fds", "db_client_connection_count"}
)

Key = tuple[str, tuple[tuple[str, str], ...]]


def counted(registry: Collector) -> bytes:
    """Return the metrics of one process, for `Joined.add`."""
    return orjson.dumps(
        [
            [
                (family.name, family.documentation, family.type),
                [
                    (sample.name, sample.labels, sample.value, sample.exemplar and tuple(sample.exemplar))
                    for sample in family.samples
                ],
            ]
            for family in registry.collect()
        ]
    )


class Joined(Collector):
    """Counters and histograms are added. A gauge has the largest value, an exemplar is the newest."""

    def __init__(self, processes: Iterable[bytes]) -> None:
        self._families: dict[str, Metric] = {}
        self._values: dict[str, dict[Key, float]] = {}
        self._exemplars: dict[Key, Exemplar] = {}
        for process in processes:
            self._add(orjson.loads(process))

    def _add(self, families: list[Any]) -> None:
        for (name, documentation, kind), samples in families:
            self._families.setdefault(name, Metric(name, documentation, kind))
            values = self._values.setdefault(name, {})
            join = _rule(name, kind)
            for sample, labels, counted_value, exemplar in samples:
                key = (sample, tuple(labels.items()))
                # JSON has no number for NaN.
                value = nan if counted_value is None else counted_value
                values[key] = join(values[key], value) if key in values else value
                if exemplar:
                    self._keep(key, Exemplar(*exemplar))

    def _keep(self, key: Key, exemplar: Exemplar) -> None:
        if key not in self._exemplars or float(self._exemplars[key].timestamp or 0) < float(exemplar.timestamp or 0):
            self._exemplars[key] = exemplar

    def collect(self) -> Iterator[Metric]:
        for name, family in self._families.items():
            joined = Metric(name, family.documentation, family.type)
            for key, value in self._values[name].items():
                joined.add_sample(key[0], dict(key[1]), value, exemplar=self._exemplars.get(key))
            yield joined


def _rule(name: str, kind: str) -> Callable[[float, float], float]:
    if kind in _ADDED or name in _ADDED_GAUGES:
        return operator.add
    # The moment since which the sums grow.
    return min if name == "process_start_time_seconds" else max

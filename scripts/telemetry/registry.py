"""Reads the registry of one service: `python -m telemetry.registry SERVICE` prints its metrics as JSON.

Nothing of this project is imported here: other modules would bring metrics that the service does not have.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

from prometheus_client import REGISTRY, CollectorRegistry


class Metric(NamedTuple):
    """A metric as its service declares it. The name is that of the exposed family, a counter's with `_total`."""

    name: str
    type: str
    help: str
    labels: tuple[str, ...]
    buckets: tuple[str, ...] = ()


def of_service(service: str) -> list[Metric]:
    """Return the metrics that a process of the service registers when it starts, by name."""
    line = [sys.executable, "-m", "telemetry.registry", service]
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=120)
    read = json.loads(done.stdout)
    return [Metric(name, kind, text, tuple(labels), tuple(buckets)) for name, kind, text, labels, buckets in read]


def registered(registry: CollectorRegistry) -> Iterator[Metric]:
    # It has no public list of its collectors.
    for collector in list(registry._collector_to_names):
        for family in collector.collect():
            labels = _labels(collector, family)
            kind = "gauge" if family.type == "info" else family.type
            suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
            buckets = tuple(getattr(collector, "bucket_names", ()))
            yield Metric(family.name + suffix, kind, family.documentation, labels, buckets)


def _labels(collector: Any, family: Any) -> tuple[str, ...]:
    # Of a collector that declares none, such as that of the process, its samples say it.
    declared = getattr(collector, "_labelnames", ())
    return tuple(
        declared or dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
    )


if __name__ == "__main__":
    import_module(f"{sys.argv[1]}.app")
    json.dump(sorted(registered(REGISTRY)), sys.stdout)

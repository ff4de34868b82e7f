"""What a service shows on /metrics, in both forms."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import prometheus_client.openmetrics.parser as open_metrics
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

ACCEPT = {"accept": "application/openmetrics-text;version=1.0.0"}


@dataclass(frozen=True)
class Shown:
    """The text of Prometheus, and the examples that only OpenMetrics has: (name of the family, trace id) pairs."""

    text: str
    examples: frozenset[tuple[str, str]]

    def families(self) -> Iterator[tuple[str, Metric]]:
        """Give the families that have values, by their whole names."""
        for family in text_string_to_metric_families(self.text):
            if family.samples:
                yield f"{family.name}_total" if family.type == "counter" else family.name, family

    def samples(self) -> list[Sample]:
        return [sample for _, family in self.families() for sample in family.samples]


async def scraped(client: httpx2.AsyncClient, url: str) -> Shown:
    """Read the metrics of a service. Raises ValueError for a text that is no OpenMetrics."""
    text, exact = await client.get(f"{url}/metrics"), await client.get(f"{url}/metrics", headers=ACCEPT)
    read: Any = open_metrics.text_string_to_metric_families
    examples = {
        (family.name, sample.exemplar.labels["trace_id"])
        for family in read(exact.raise_for_status().text)
        for sample in family.samples
        if sample.exemplar
    }
    return Shown(text.raise_for_status().text, frozenset(examples))

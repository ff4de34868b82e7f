"""A histogram that costs little, and the one of calls to other HTTP servers. All metrics: docs/telemetry.yaml."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from urllib.parse import urlsplit

from prometheus_client import REGISTRY, CollectorRegistry, disable_created_metrics
from prometheus_client.core import Exemplar, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

# A second series for each counter, which says since when it counts: no rule asks for it.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotation

# OpenTelemetry's buckets for seconds, and two below them: most of our reads take less than 5 ms.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
# From one process to the next, and the waits of outages.
DELAYS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)


_Bucket = tuple[str, float] | tuple[str, float, Exemplar]


class Series:
    """What was observed with one set of labels."""

    __slots__ = ("_bounds", "counts", "exemplars", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.exemplars: dict[int, Exemplar] = {}

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def observe_all(self, values: Iterable[float]) -> None:
        """Observe several values, at half the cost for each."""
        bounds, counts, total = self._bounds, self.counts, self.total
        for value in values:
            counts[bisect_left(bounds, value)] += 1
            total += value
        self.total = total

    def observe_traced(self, value: float, trace_id: int) -> None:
        """Observe, and keep the trace as the example of its bucket."""
        self.observe(value)
        bucket = bisect_left(self._bounds, value)
        self.exemplars[bucket] = Exemplar({"trace_id": f"{trace_id:032x}"}, value, time.time())


class Histogram(Collector):
    """A histogram for one thread, that of the event loop.

    prometheus_client's takes two locks for each observation and looks for the bucket one by one: five times the cost.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        buckets: Sequence[float] = SECONDS,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._name, self._documentation, self._labelnames = name, documentation, tuple(labels)
        self._bounds = tuple(map(float, buckets))
        self.bucket_names = [*map(floatToGoString, self._bounds), "+Inf"]
        self._series: dict[tuple[str, ...], Series] = {}
        if not labels:
            self.labels()
        registry.register(self)

    def labels(self, *values: str) -> Series:
        """Return the series with these values of the labels. Where it is hot, keep it."""
        series = self._series.get(values)
        if series is None:
            if len(values) != len(self._labelnames):
                raise ValueError(f"{self._name} has the labels {self._labelnames}, not {values}")
            series = self._series[values] = Series(self._bounds)
        return series

    def collect(self) -> Iterable[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labelnames)
        for values, series in self._series.items():
            family.add_metric(values, self._buckets(series), series.total)
        yield family

    def _buckets(self, series: Series) -> Sequence[_Bucket]:
        buckets: list[_Bucket] = []
        for index, (name, sum_so_far) in enumerate(zip(self.bucket_names, accumulate(series.counts), strict=True)):
            exemplar = series.exemplars.get(index)
            buckets.append((name, float(sum_so_far), exemplar) if exemplar else (name, float(sum_so_far)))
        return buckets


def not_negative(ages: list[float]) -> list[float]:
    """Return ages as they are, but for those that two clocks, which differ, have made negative."""
    return [max(age, 0.0) for age in ages] if ages and min(ages) < 0 else ages


_HTTP_CLIENT = Histogram(
    "http_client_request_duration_seconds",
    "Time from a call of another HTTP server to the end of its answer, or to the failure",
    ["server_address", "http_request_method", "url_template", "http_response_status_code", "error_type"],
)


class HttpCall:
    """One kind of call of another HTTP server: `template` is its path without the values in it."""

    def __init__(self, base_url: str, method: str, template: str) -> None:
        self._call = (urlsplit(base_url).hostname or "", method, template)
        self._series: dict[tuple[int, str], Series] = {}

    def ended(self, started: float, status: int, error: str = "") -> None:
        """Record a call that began at `started`, in time.perf_counter().

        Without an answer the status is 0. An `error` names what failed; without one the status is it from 400 on.
        """
        series = self._series.get((status, error))
        if series is None:
            error_type = error or (str(status) if status >= 400 else "")
            series = _HTTP_CLIENT.labels(*self._call, str(status or ""), error_type)
            self._series[status, error] = series
        series.observe(time.perf_counter() - started)

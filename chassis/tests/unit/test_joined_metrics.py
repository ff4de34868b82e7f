"""The metrics of several processes in one registry."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import choose_encoder

from chassis.http.joined_metrics import Joined, counted
from chassis.metrics import Histogram

open_metrics, _ = choose_encoder("application/openmetrics-text")


def process(requests: int, took: float, lag: float, memory: float = 1.0, trace: int = 0) -> CollectorRegistry:
    """Return what one process has counted."""
    registry = CollectorRegistry()
    Counter("requests_total", 'Said "so" \\ far', ["route"], registry=registry).labels('/a"b\\').inc(requests)
    series = Histogram("took_seconds", "Time", ["route"], (0.1, 1), registry=registry).labels("/")
    if trace:
        series.observe_traced(took, trace)
    else:
        series.observe(took)
    Gauge("lag", "Lag", registry=registry).set(lag)
    Gauge("process_open_fds", "Descriptors", registry=registry).set(memory)
    Gauge("db_client_connection_count", "Connections", ["state"], registry=registry).labels("used").set(memory)
    return registry


def joined(*processes: CollectorRegistry) -> Joined:
    return Joined(map(counted, processes))


def values(registry: Any) -> dict[str, float]:
    return {
        sample.name + sample.labels.get("le", ""): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def test_the_text_of_one_process_stays_as_it_is() -> None:
    one = process(3, 0.5, 7, trace=5)
    assert generate_latest(joined(one)) == generate_latest(one)
    assert open_metrics(joined(one)) == open_metrics(one)


def test_counters_and_histograms_are_added_and_of_a_gauge_the_largest_value_stands() -> None:
    found = values(joined(process(3, 0.05, 7, 10), process(4, 0.5, 2, 11), process(5, 5, 0, 12)))
    assert found["requests_total"] == 12
    assert [found[f"took_seconds_bucket{bound}"] for bound in ("0.1", "1.0", "+Inf")] == [1, 2, 3]
    assert (found["took_seconds_count"], found["took_seconds_sum"]) == (3, 5.55)
    assert found["lag"] == 7
    assert (found["process_open_fds"], found["db_client_connection_count"]) == (33, 33)


def test_of_the_examples_of_a_bucket_the_newest_stands() -> None:
    first, second = process(1, 0.5, 0, trace=1), process(1, 0.6, 0, trace=2)
    for given in ((first, second), (second, first)):
        [line] = [line for line in open_metrics(joined(*given)).decode().splitlines() if "trace_id" in line]
        assert f'le="1.0",route="/"}} 2.0 # {{trace_id="{2:032x}"}} 0.6 ' in line


def test_what_only_one_process_has_is_kept() -> None:
    registry = CollectorRegistry()
    Counter("other_total", "Other", ["topic"], registry=registry).labels("a").inc(2)
    found = values(joined(process(3, 0.5, 7), registry))
    assert (found["other_total"], found["requests_total"]) == (2, 3)

"""The metrics of several processes in one text."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from chassis.http.joined_metrics import joined


def text_of(requests: int, took: float, lag: float, memory: float = 1.0) -> bytes:
    """Return what one process would answer."""
    registry = CollectorRegistry()
    Counter("requests_total", 'Said "so" \\ far', ["route"], registry=registry).labels('/a"b\\').inc(requests)
    Histogram("took_seconds", "Time", ["route"], buckets=(0.1, 1), registry=registry).labels("/").observe(took)
    Gauge("lag", "Lag", registry=registry).set(lag)
    Gauge("process_open_fds", "Descriptors", registry=registry).set(memory)
    return generate_latest(registry)


def values(text: bytes) -> dict[str, float]:
    return {
        sample.name + sample.labels.get("le", ""): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_the_text_of_one_process_stays_as_it_is() -> None:
    assert joined([text := text_of(3, 0.5, 7)]) == text


def test_counters_and_histograms_are_added_and_of_a_gauge_the_largest_value_stands() -> None:
    found = values(joined([text_of(3, 0.05, 7, 10), text_of(4, 0.5, 2, 11), text_of(5, 5, 0, 12)]))
    assert found["requests_total"] == 12
    assert [found[f"took_seconds_bucket{bound}"] for bound in ("0.1", "1.0", "+Inf")] == [1, 2, 3]
    assert (found["took_seconds_count"], found["took_seconds_sum"]) == (3, 5.55)
    assert found["lag"] == 7
    assert found["process_open_fds"] == 33


def test_the_sums_say_since_when_they_grow() -> None:
    first, second = text_of(1, 1, 1), text_of(1, 1, 1)
    assert values(first)["requests_created"] < values(second)["requests_created"]
    for texts in ([first, second], [second, first]):
        assert values(joined(texts))["requests_created"] == values(first)["requests_created"]


def test_what_only_one_process_has_is_kept() -> None:
    registry = CollectorRegistry()
    Counter("other_total", "Other", ["topic"], registry=registry).labels("a").inc(2)
    found = values(joined([text_of(3, 0.5, 7), generate_latest(registry)]))
    assert (found["other_total"], found["requests_total"]) == (2, 3)

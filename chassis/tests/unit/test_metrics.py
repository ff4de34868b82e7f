"""The histogram of the event loop's thread says what prometheus_client's says; calls have bounded labels."""

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client import Histogram as Original
from prometheus_client.exposition import choose_encoder

from chassis.events import Message, wire_headers
from chassis.kafka import sent
from chassis.kafka.consumed import ages
from chassis.metrics import Histogram, HttpCall, not_negative

generate_openmetrics, _ = choose_encoder("application/openmetrics-text")
BUCKETS = (0.01, 0.5, 1, 10)
VALUES = (0.0, 0.005, 0.01, 0.0100001, 0.5, 3, 10, 11, 0.7)


def without_created(text: bytes) -> list[str]:
    return [line for line in text.decode().splitlines() if "_created" not in line]


@pytest.mark.parametrize("labels", [{}, {"route": "/a", "status": "200"}])
def test_its_text_is_that_of_prometheus_client(labels: dict[str, str]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    one = Histogram("took_seconds", "Time", list(labels), BUCKETS, registry=ours).labels(*labels.values())
    other = Original("took_seconds", "Time", list(labels), buckets=BUCKETS, registry=theirs)
    child = other.labels(**labels) if labels else other
    for value in VALUES:
        one.observe(value)
        child.observe(value)
    assert without_created(generate_latest(ours)) == without_created(generate_latest(theirs))
    assert without_created(generate_openmetrics(ours)) == without_created(generate_openmetrics(theirs))


def test_a_traced_observation_is_the_example_of_its_bucket() -> None:
    registry = CollectorRegistry()
    Histogram("took_seconds", "Time", [], BUCKETS, registry=registry).labels().observe_traced(0.2, 0xABC)
    [line] = [line for line in generate_openmetrics(registry).decode().splitlines() if 'le="0.5"' in line]
    assert line.startswith(f'took_seconds_bucket{{le="0.5"}} 1.0 # {{trace_id="{0xABC:032x}"}} 0.2 ')
    assert "trace_id" not in generate_latest(registry).decode()


def test_labels_must_be_all_there() -> None:
    histogram = Histogram("took_seconds", "Time", ["route"], registry=CollectorRegistry())
    with pytest.raises(ValueError, match="took_seconds has the labels"):
        histogram.labels("a", "b")


@pytest.mark.parametrize(
    ("status", "error", "code", "error_type"),
    [(200, "", "200", ""), (404, "", "404", "404"), (0, "ReadTimeout", "", "ReadTimeout"), (200, "odd", "200", "odd")],
)
def test_a_call_names_its_template_and_what_failed(status: int, error: str, code: str, error_type: str) -> None:
    call = HttpCall("https://key:secret@api.example.org:8443/base", "GET", "/things/{id}")
    labels = {
        "server_address": "api.example.org",
        "http_request_method": "GET",
        "url_template": "/things/{id}",
        "http_response_status_code": code,
        "error_type": error_type,
    }
    for count in (1, 2):
        call.ended(time.perf_counter(), status, error)
        assert REGISTRY.get_sample_value("http_client_request_duration_seconds_count", labels) == count


def aged(times: list[str], now: float = 100.0) -> list[float]:
    return ages([Message("t", 0, 0, None, None, {"ce_time": text} if text else {}, "") for text in times], now)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:01:00Z", 60),
        ("1970-01-01T00:00:00.250000Z", 0.25),
        ("1970-01-01T00:00:00.25Z", 0.25),
        ("1970-01-01T01:00:01+01:00", 1),
        ("1970-01-01T01:00:01.500000+01:00", 1.5),
        *(
            (text, None)
            for text in ("1970-01-01T00:01:00", "", "Z", "9999-12-31T24:00:00Z", "1970-01-01T00:00:00.2500 0Z")
        ),
    ],
)
def test_only_a_time_with_a_zone_tells_an_age(text: str, seconds: float | None) -> None:
    expected = [] if seconds is None else [100 - seconds]
    assert aged([text]) == expected
    known = "1970-01-01T00:00:00.500000Z"
    assert aged([known, text, known]) == [99.5, *expected, 99.5]


def test_a_replayed_dead_letter_tells_no_age_and_the_messages_around_it_do() -> None:
    times = {"ce_time": "1970-01-01T00:00:00.500000Z"}
    replayed = {**times, "x-replayed-at": "1970-01-01T00:01:39Z"}
    messages = [Message("t", 0, 0, None, None, headers, "") for headers in (replayed, times, replayed, times)]
    assert ages(messages, 100.0) == [99.5, 99.5]


@given(st.lists(st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(UTC)), max_size=20), st.booleans())
def test_the_ages_of_many_are_those_of_each(times: list[datetime], close: bool) -> None:
    if close:
        times = [time.replace(year=2026, month=1, day=1, hour=1, minute=1, second=time.second % 2) for time in times]
    texts = [wire_headers("a", UUID(int=1), "t", time, {})["ce_time"] for time in times]
    assert aged(texts, 0.0) == pytest.approx([-time.timestamp() for time in times])


def test_many_values_are_observed_as_each_is() -> None:
    one, many = (Histogram("took_seconds", "Time", [], BUCKETS, registry=CollectorRegistry()).labels() for _ in "ab")
    for value in VALUES:
        one.observe(value)
    many.observe_all(VALUES)
    assert (one.counts, one.total) == (many.counts, many.total)
    assert not_negative([-0.5, 0.25]) == [0.0, 0.25]


def test_published_events_are_observed_with_the_time_since_their_commit() -> None:
    sent.published("metrics.unit", [datetime.now(UTC) - timedelta(seconds=7), datetime.now(UTC) + timedelta(hours=1)])
    name, labels = "gocommerce_outbox_publish_delay_seconds", {"topic": "metrics.unit"}
    assert REGISTRY.get_sample_value(f"{name}_count", labels) == 2
    assert 7 <= (REGISTRY.get_sample_value(f"{name}_sum", labels) or 0) < 8, "another clock makes no age negative"

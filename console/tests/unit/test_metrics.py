"""The ring of the last fifteen minutes, and the figures from it."""

from itertools import pairwise
from math import ceil

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from console.client import metrics
from console.client.metrics import Watch
from console.model.readings import Readings, quantile
from console.model.ring import EVERY_S, LOOKS, MAX_SERIES, Ring

from .looks import BEGIN, Behind, Shown, readings, watched

NAME = "messaging_client_sent_messages_total"
texts = st.text(max_size=20)


def count(*values: float | None) -> Readings:
    return readings(*(None if value is None else f"{NAME} {value}\n" for value in values), ring=Ring(frozenset({NAME})))


@given(st.dictionaries(st.tuples(texts, texts), st.floats(0, 1e9), min_size=1, max_size=5))
def test_each_series_is_read_as_the_library_of_prometheus_reads_it(series: dict[tuple[str, str], float]) -> None:
    registry = CollectorRegistry()
    counter = Counter(NAME, "with any labels", ["topic", "error_type"], registry=registry)
    for labels, value in series.items():
        counter.labels(*labels).inc(value)
    text = generate_latest(registry).decode()
    ring = Ring(frozenset({NAME}))
    ring.add(BEGIN, text)
    [look] = ring.looks
    expected = {
        (sample.labels["topic"], sample.labels["error_type"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == NAME
    }
    found = {(each.labels["topic"], each.labels["error_type"]): look.value(each.number) for each in ring.find(NAME, {})}
    assert found == expected


def test_only_the_families_that_pages_show_are_kept() -> None:
    ring = Ring(frozenset({NAME}))
    ring.add(BEGIN, f"# HELP {NAME} x\n# TYPE {NAME} counter\n{NAME} 1\nother_total 5\n{NAME}_created 1.7e9\n")
    assert [len(ring.find(name, {})) for name in (NAME, "other_total", f"{NAME}_created")] == [1, 0, 0]


def test_a_ring_has_fifteen_minutes_and_no_more_series_than_its_bound() -> None:
    ring = Ring(frozenset({NAME}))
    lines = [f'{NAME}{{topic="{number}"}} 1' for number in range(MAX_SERIES + 7)]
    for look in range(LOOKS + 20):
        ring.add(BEGIN + look * EVERY_S, "\n".join(lines))
    assert len(ring.looks) == LOOKS
    assert ring.looks[-1].at - ring.looks[0].at == 900
    assert (len(ring.find(NAME, {})), ring.left_out) == (MAX_SERIES, 7)
    assert all(look.values is not None and len(look.values) == MAX_SERIES for look in ring.looks)


def test_a_series_whose_text_is_too_long_is_left_out() -> None:
    ring = Ring(frozenset({NAME}))
    ring.add(BEGIN, f'{NAME}{{topic="{"x" * 2000}"}} 1\n{NAME} 2\n')
    assert len(ring.find(NAME, {})) == 1


def test_a_rate_is_the_growth_in_the_time_between_the_looks() -> None:
    assert count(100, 105, 115).rate(NAME) == pytest.approx(1.5)
    assert count(100, 105, 115).grown(NAME) == 15


def test_a_counter_that_began_again_counts_what_came_since() -> None:
    assert count(100, 110, 4, 10).grown(NAME) == 10 + 4 + 6
    assert count(100, 110, 0).grown(NAME) == 10


def test_a_series_that_is_new_began_with_nothing() -> None:
    shown = readings("", f"{NAME} 3\n", ring=Ring(frozenset({NAME})))
    assert shown.grown(NAME) == 3


def test_the_first_look_says_nothing_of_a_rate() -> None:
    assert count(100).rate(NAME) is None
    assert count().rate(NAME) is None
    assert count(100).latest(NAME) == 100


def test_a_service_that_was_away_has_a_gap_and_no_growth_is_lost() -> None:
    shown = count(10, 20, None, None, 50)
    assert [value for _, value in shown.rate_points(NAME)] == [2.0, None, None, 2.0]
    assert shown.grown(NAME) == 40
    away = count(10, 20, None)
    assert (away.latest(NAME), away.rate(NAME)) == (None, 2.0)


def test_a_rate_forgets_what_is_older_than_a_minute() -> None:
    shown = count(0, *[1000] * 14)
    assert shown.rate(NAME) == 0


def test_the_processes_of_a_service_are_added() -> None:
    rings = [count(0, 10).rings[0], count(0, 30).rings[0]]
    both = Readings(rings, now=lambda: BEGIN + EVERY_S)
    assert both.rate(NAME) == pytest.approx(8.0)
    assert both.rate_points(NAME) == [(BEGIN + EVERY_S, 8.0)]
    assert (both.latest(NAME), both.largest(NAME)) == (40, 30)


def test_labels_choose_series() -> None:
    lines = [f'{NAME}{{topic="{topic}",error_type="{error}"}} 1' for topic in "abc" for error in ("", "E")]
    shown = readings("\n".join(lines), ring=Ring(frozenset({NAME})))
    assert shown.latest(NAME, topic="a|b") == 4
    assert shown.latest(NAME, topic="!a|b") == 2
    assert shown.latest(NAME, error_type="!") == 3
    assert shown.latest(NAME, topic="a", error_type="") == 1
    assert shown.latest(NAME, topic="d") is None
    assert shown.values_of(NAME, "topic") == ["a", "b", "c"]


@given(st.lists(st.floats(0.0001, 9.9), min_size=1, max_size=60), st.sampled_from([0.5, 0.95]))
def test_a_percentile_lies_in_the_bucket_that_has_it(values: list[float], share: float) -> None:
    shown = Shown()
    empty = shown.text
    for value in values:
        shown.request("/v1/orders", seconds=value)
    found = readings(empty, shown.text).quantile(share, "http_server_request_duration_seconds")
    bounds = [0.0, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]
    exact = sorted(values)[ceil(len(values) * share) - 1]
    low, high = next((a, b) for a, b in pairwise(bounds) if exact <= b)
    assert found is not None
    assert low <= found <= high


def test_a_percentile_of_nothing_is_not_known() -> None:
    assert quantile(0.95, {}) is None
    assert quantile(0.95, {0.1: 0.0, float("inf"): 0.0}) is None
    assert quantile(0.95, {0.1: 0.0, float("inf"): 3.0}) == 0.1


async def test_a_look_reads_states_and_metrics_of_all_and_tells_of_a_change_only() -> None:
    behind = Behind()
    changes: list[int] = []
    watch = watched(behind, changes)
    await watch.look(BEGIN)
    await watch.look(BEGIN + EVERY_S)
    assert {watch.standing(name).state for name in behind.shown} == {"ready"}
    assert len(changes) == 1
    behind.away = {"productfc"}
    await watch.look(None)
    assert (watch.standing("productfc").state, watch.standing("productfc").reason) == ("away", "ConnectError")
    assert watch.standing("orderfc").state == "ready"
    assert len(changes) == 2
    assert len(watch.readings("productfc").rings[0].looks) == 2


async def test_a_service_that_is_away_is_a_gap() -> None:
    behind = Behind()
    watch = watched(behind)
    for number in range(5):
        behind.away = {"productfc"} if number in (2, 3) else set()
        await watch.look(BEGIN + EVERY_S * number)
    points = watch.readings("productfc").gauge_points("gocommerce_outbox_pending")
    assert [value for _, value in points] == [0, 0, None, None, 0]


async def test_one_that_answers_nonsense_is_away_or_a_gap(caplog: pytest.LogCaptureFixture) -> None:
    for path, text in (("/ready", "[]"), ("/ready", "no json"), ("/metrics", "a b c\nmessaging x\n")):

        def answer(request: httpx2.Request, path: str = path, text: str = text) -> httpx2.Response:
            return httpx2.Response(200, text=text if request.url.path == path else '{"status": "ready"}')

        http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
        watch = Watch(http, {"orderfc": "https://orderfc"}, lambda: None)
        await watch.look(BEGIN)
        assert watch.standing("orderfc").state == ("away" if path == "/ready" else "ready")
        assert watch.readings("orderfc").latest("gocommerce_outbox_pending") is None


async def test_a_text_that_is_too_large_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_BYTES", 100)
    behind = Behind()
    watch = watched(behind)
    await watch.look(BEGIN)
    assert watch.readings("orderfc").rings[0].is_empty


async def test_each_address_of_a_name_is_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = ["http://10.0.0.1:9090", "http://10.0.0.2:9090"]

    async def found(_url: str) -> list[str]:
        return addresses

    monkeypatch.setattr(metrics, "_addresses", found)
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.host)
        ready = {"status": "ready" if request.url.host.endswith(".1") else "not_ready"}
        text = "gocommerce_outbox_pending 4\n"
        return httpx2.Response(200, json=ready) if request.url.path == "/ready" else httpx2.Response(200, text=text)

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    watch = Watch(http, {"orderfc": "http://orders:9090"}, lambda: None)
    await watch.look(BEGIN)
    assert (watch.count("orderfc"), watch.standing("orderfc").state) == (2, "not ready")
    assert watch.readings("orderfc").latest("gocommerce_outbox_pending") == 8
    addresses.pop()
    await watch.look(BEGIN + EVERY_S)
    assert (watch.count("orderfc"), watch.standing("orderfc").state) == (1, "ready")


async def test_the_name_of_this_machine_is_one_address() -> None:
    assert await metrics._addresses("http://localhost:28080") == ["http://127.0.0.1:28080"]
    assert await metrics._addresses("https://orders.example") == ["https://orders.example"]
    assert await metrics._addresses("http://no-such-name.invalid:1") == ["http://no-such-name.invalid:1"]

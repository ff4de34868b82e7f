"""What the services show on /metrics after whole orders: what docs/telemetry.yaml declares and nothing else."""

import json
import os
import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from rich.console import Console

from fc.demo import stories
from fc.demo.seed import seed
from fc.demo.shop import Shop, poll
from fc.stack.layout import SERVICES
from fc.stack.local import Stack
from servers import prometheus
from servers.base import Missing
from telemetry import document
from tests.contract.routes import PAGES
from tests.kit.bus import PublishedEvent, opened_bus
from tests.kit.otlp_sink import OtlpSink
from tests.kit.stacks import SECRETS, running

from .panels import complete_answers, empty, scraping
from .scrape import Shown, scraped

pytestmark = pytest.mark.e2e

# What callers send wherever they can.
MARK = f"mark{secrets.token_hex(4)}"
MAX_SERIES = 600
# An order that orderfc never numbers.
FOREIGN = 9_100_000_001
# The convention's name of the gauge ends as a histogram's counter does.
LINT = 'db_client_connection_count non-histogram and non-summary metrics should not have "_count" suffix'

DECLARED: dict[str, Any] = yaml.safe_load((document.ROOT / document.PATH).read_text("utf-8"))["metrics"]


def declared(service: str) -> dict[str, Any]:
    return {name: metric for name, metric in DECLARED.items() if service in metric["services"]}


def unseen(service: str, shown: Shown) -> set[str]:
    """Return what a service should show after the stories and does not."""
    seen = {name for name, _ in shown.families()}
    return {name for name, metric in declared(service).items() if name not in seen and "unseen" not in metric}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, sink: OtlpSink) -> Iterator[Stack]:
    """Start a stack whose series no other test makes."""
    path = Path(tmp_path_factory.mktemp("metrics"))
    with running(Stack.for_tests(path, {**SECRETS, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})) as stack:
        yield stack


@pytest.fixture(scope="module")
async def prometheus_url(measured: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a Prometheus that has scraped the stack from the beginning."""
    async with scraping(Path(tmp_path_factory.mktemp("prometheus")), measured.urls()) as url:
        yield url


@pytest.fixture(scope="module")
async def told(measured: Stack, client: httpx2.AsyncClient, prometheus_url: str) -> dict[str, Shown]:
    """Tell the stories, and read what each service shows."""
    urls, accounts = measured.urls(), measured.accounts()
    await seed(urls, accounts)
    assert await stories.run(urls, accounts, Console(quiet=True)) == [], "the stories of the demo hold"
    async with Shop.opened(urls, accounts) as shop:
        await _tell_of_trouble(measured, shop, client)
    for service in SERVICES:
        await _call_with_marks(client, urls[service])
    return {service: await _complete(client, service, urls[service]) for service in SERVICES}


async def _tell_of_trouble(stack: Stack, shop: Shop, client: httpx2.AsyncClient) -> None:
    """Pay a wrong amount, ask for what nobody has in stock, and send messages that can't be applied."""
    buyer, mug, rug = await shop.newcomer(), await shop.product("Ceramic Mug"), await shop.product("Sold Out Rug")
    invoice = await buyer.invoice(await buyer.checkout(mug, 1))
    paid = await client.post(f"{stack.urls()['xendit']}/_sim/invoices/{invoice['invoice_id']}/pay", json={"amount": 1})
    paid.raise_for_status()
    async with opened_bus(stack) as bus:
        await bus.publish("stock.updated", FOREIGN, [(rug["id"], 5)])
        for topic in ("stock.updated", "payment.success", "order.created"):
            value = f'"{topic} {MARK}"'.encode()
            headers = tuple((name, MARK.encode()) for name in ("ce_id", "ce_source", "ce_type", "ce_time", MARK))
            await bus.send(PublishedEvent(topic, MARK.encode(), value, headers), fresh_id=False)
            await bus.dead_letter(topic, value)


async def _call_with_marks(client: httpx2.AsyncClient, url: str) -> None:
    headers = dict.fromkeys(("x-request-id", "user-agent", "idempotency-key", "tracestate", MARK), MARK)
    for method in ("GET", MARK.upper()):
        await client.request(method, f"{url}/v1/{MARK}?{MARK}={MARK}", headers=headers)
    body = {"email": f"{MARK}@example.com", "password": f"{MARK}-password"}
    await client.post(f"{url}/v1/login", headers=headers, json=body)


async def _complete(client: httpx2.AsyncClient, service: str, url: str) -> Shown:
    """Read until what comes late is there: gauges are set every few seconds."""
    latest = await scraped(client, url)

    async def all_seen() -> Shown | None:
        nonlocal latest
        latest = await scraped(client, url)
        return latest if not unseen(service, latest) else None

    try:
        await poll(all_seen, f"the metrics of {service}", 20, 0.5)
    except TimeoutError:
        # The test says which are missing.
        return latest
    return latest


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_shows_what_is_declared_and_nothing_else(told: dict[str, Shown], service: str) -> None:
    shown = {name for name, _ in told[service].families()}
    assert shown - declared(service).keys() == set()
    assert unseen(service, told[service]) == set()


@pytest.mark.parametrize("service", SERVICES)
async def test_labels_and_their_values_are_those_declared(told: dict[str, Shown], service: str) -> None:
    wrong: list[object] = []
    for name, family in told[service].families():
        labels = DECLARED[name]["labels"]
        for sample in family.samples:
            given = {label: value for label, value in sample.labels.items() if label != "le"}
            if given.keys() != labels.keys():
                wrong.append((name, sorted(given)))
            bounded = ((label, value) for label, value in given.items() if isinstance(labels.get(label), list))
            wrong += [(name, label, value) for label, value in bounded if value not in labels[label]]
    assert wrong == []


@pytest.mark.parametrize("service", SERVICES)
async def test_series_are_few_and_none_has_what_a_caller_sent(told: dict[str, Shown], service: str) -> None:
    shown, text = told[service].samples(), told[service].text
    counts = {name: len(family.samples) for name, family in told[service].families()}
    assert len(shown) <= MAX_SERIES, sorted(counts.items(), key=lambda item: -item[1])[:10]
    assert MARK not in text.lower()
    paths = json.loads((document.ROOT / f"docs/openapi/{service}.json").read_text("utf-8"))["paths"]
    routes = {sample.labels["http_route"] for sample in shown if "http_route" in sample.labels}
    assert routes - {*paths, *PAGES, "unmatched"} == set()


async def test_promtool_finds_nothing_wrong_with_the_names(told: dict[str, Shown]) -> None:
    try:
        promtool = prometheus.program("promtool")
    except Missing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    for service in SERVICES:
        line = [str(promtool), "check", "metrics"]
        done = subprocess.run(line, input=told[service].text, capture_output=True, text=True, timeout=60, check=False)
        assert done.stderr.splitlines() == [LINT], f"{service}: {done.stdout} {done.stderr}"


async def test_a_bucket_names_a_trace_that_was_recorded(told: dict[str, Shown], sink: OtlpSink) -> None:
    by_service = {service: dict(told[service].examples) for service in SERVICES}
    assert all("http_server_request_duration_seconds" in examples for examples in by_service.values())
    assert "messaging_process_duration_seconds" in by_service["orderfc"]
    named = {trace for shown in told.values() for _, trace in shown.examples}

    async def recorded() -> bool:
        return named <= {span.trace_id for span in sink.spans}

    await poll(recorded, "the spans of the examples", 20, 0.2)


@pytest.mark.usefixtures("told")
async def test_no_panel_of_a_dashboard_is_empty(client: httpx2.AsyncClient, prometheus_url: str) -> None:
    assert empty(await complete_answers(client, prometheus_url)) == set()


@pytest.mark.usefixtures("told")
async def test_prometheus_can_judge_every_rule_and_wakes_nobody(
    client: httpx2.AsyncClient, prometheus_url: str
) -> None:
    groups = (await client.get(f"{prometheus_url}/api/v1/rules")).json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 60
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule.get("lastError")] == []
    pages = {rule["name"] for rule in rules if rule.get("labels", {}).get("severity") == "page"}
    assert {rule["name"] for rule in rules if rule.get("state") == "firing"} & pages == set()


@pytest.mark.usefixtures("told")
async def test_prometheus_keeps_the_traces_of_buckets(client: httpx2.AsyncClient, prometheus_url: str) -> None:
    question = {"query": "http_server_request_duration_seconds_bucket", "start": "0", "end": "9999999999"}
    answer = (await client.get(f"{prometheus_url}/api/v1/query_exemplars", params=question)).json()
    traces = [one["labels"]["trace_id"] for series in answer["data"] for one in series["exemplars"]]
    assert traces
    assert all(len(trace) == 32 for trace in traces)

"""What a Prometheus that scrapes a stack answers to each query of the dashboards.

RECORD=FILE writes it, docs/evidence/dashboards.md among them.
"""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml

from fc.demo.shop import poll
from fc.stack.layout import ROOT, SERVICES
from observability.dashboards import DASHBOARDS
from servers.prometheus import Prometheus
from testkit import free_port

FOLDER = ROOT / "deploy/observability"
# Four scrapes, as Grafana's $__rate_interval has.
SCRAPE_S, RANGE = 1, "4s"

# What the stories of a stack at rest can't show, by panel and the beginning of the legend, and why.
QUIET = {
    ("Refused", ""): "nobody is refused",
    ("Redis", "limit"): "Redis counts all limits",
    ("Not acknowledged", ""): "Kafka acknowledges everything",
    ("Collector: lost", ""): "no collector runs here",
    ("Collector: part of the queue that is taken", ""): "no collector runs here",
    ("Audit: violations", ""): "the console, whose metrics these are, is not scraped here",
    ("Audit: age of the last run", ""): "the console, whose metrics these are, is not scraped here",
    ("Runs of messages", ""): "a run needs messages that wait",
    ("Open anomalies", ""): "they are counted every 30 s",
}
PAGE = """\
# Dashboards

What Prometheus 2.42 answered to each query of the five dashboards, while it scraped a local stack once a second: after
the stories of `fc demo` (25 orders), a payment of a wrong amount and messages that can't be applied. `series` counts
the lines of the diagram, for the dashboard Service over all four services. Made by
`RECORD=docs/evidence/dashboards.md` before `pytest tests/telemetry/test_metrics.py`.

Grafana itself was not run: no image of it was at hand. Its JSON is made by Grafana's own library, and its provisioning
is compared with docker-compose.yml ([test_compose_observe.py](../../tests/contract/test_compose_observe.py)).

| dashboard | panel | query | series | the first one, largest value in 3 minutes |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Answer:
    """What Prometheus said to one query: how many series, and the figure of the first one."""

    dashboard: str
    panel: str
    legend: str
    series: int
    first: str


def configuration(urls: dict[str, str], rules: Path = FOLDER / "rules") -> str:
    """Return the configuration of the profile `observe` for a local stack, scraped once a second."""
    document = yaml.safe_load((FOLDER / "prometheus/prometheus.yml").read_text(encoding="utf-8"))
    document["global"] |= {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": "1s", "scrape_timeout": "1s"}
    document["rule_files"] = [str(rules / "*.rules.yml")]
    document["scrape_configs"] = [job for job in document["scrape_configs"] if job["job_name"] in SERVICES]
    for job in document["scrape_configs"]:
        job["static_configs"] = [{"targets": [urls[job["job_name"]].removeprefix("http://")]}]
    return str(yaml.safe_dump(document))


@asynccontextmanager
async def scraping(folder: Path, urls: dict[str, str]) -> AsyncIterator[str]:
    """Run a Prometheus on a stack for the block; yields its address."""
    (folder / "prometheus.yml").write_text(configuration(urls), encoding="utf-8")
    server = Prometheus(folder, free_port(), configuration=folder / "prometheus.yml")
    server.prepare()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(server.command(), stdout=log, stderr=subprocess.STDOUT)
    try:
        await poll(server.ready, f"Prometheus, see {folder / 'prometheus.log'}", 60)
        url = f"http://127.0.0.1:{server.port}"
        async with httpx2.AsyncClient() as client:
            # What happens before its first scrape has no rate.
            await poll(lambda: _all_up(client, url), "the first scrape of all services", 30)
        yield url
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 20)


async def _all_up(client: httpx2.AsyncClient, url: str) -> bool:
    return [series["value"][1] for series in await _ask(client, url, "sum(up)")] == [str(len(SERVICES))]


async def complete_answers(client: httpx2.AsyncClient, url: str) -> list[Answer]:
    """Ask until every query has an answer, 20 s at most."""
    latest: list[Answer] = []

    async def complete() -> bool:
        nonlocal latest
        latest = await answers(client, url)
        return not empty(latest)

    # The caller says which are missing.
    with suppress(TimeoutError):
        await poll(complete, "an answer to every query", 20, 1)
    if path := os.environ.get("RECORD"):
        Path(path).write_text(PAGE + "".join(_lines(latest)), encoding="utf-8")
    return latest


async def answers(client: httpx2.AsyncClient, url: str) -> list[Answer]:
    """Ask every query, those of the dashboard Service for each service, over the last minutes."""
    found = []
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            for query in panel.queries:
                for job in dashboard.jobs or ("",):
                    expr = query.expr.replace("$__rate_interval", RANGE).replace("$job", job)
                    series = await _series(client, url, expr)
                    first = _figure(series[0]) if series else ""
                    name = f"{dashboard.title} of {job}" if job else dashboard.title
                    found.append(Answer(name, panel.title, query.legend, len(series), first))
    return found


async def _series(client: httpx2.AsyncClient, url: str, expr: str) -> list[dict[str, Any]]:
    # What happened once is not in the last seconds any more.
    return await _ask(client, url, f"({expr})[3m:1s]")


async def _ask(client: httpx2.AsyncClient, url: str, query: str) -> list[dict[str, Any]]:
    answer = (await client.post(f"{url}/api/v1/query", data={"query": query}, timeout=30)).json()
    assert answer["status"] == "success", f"{query}: {answer}"
    return list(answer["data"]["result"])


def _figure(series: dict[str, Any]) -> str:
    labels = ", ".join(f"{name}={value}" for name, value in sorted(series["metric"].items()) if name != "__name__")
    numbers = [float(value) for _, value in series["values"] if value != "NaN"]
    return f"{labels or 'no labels'}: up to {max(numbers):.4g}" if numbers else f"{labels}: NaN"


def empty(found: list[Answer]) -> set[tuple[str, str]]:
    """Return the queries, as panel and legend, that no service had an answer to, and that are not known to be quiet."""
    spoken = {(answer.panel, answer.legend) for answer in found if answer.series}
    asked = {(answer.panel, answer.legend) for answer in found}
    return {(panel, legend) for panel, legend in asked - spoken if not quiet(panel, legend)}


def quiet(panel: str, legend: str) -> str:
    """Return why a query has no answer here; "" where it has to have one."""
    return next((why for (title, begin), why in QUIET.items() if title == panel and legend.startswith(begin)), "")


def _lines(found: list[Answer]) -> list[str]:
    together: dict[tuple[str, str, str], list[Answer]] = {}
    for answer in found:
        title = answer.dashboard.partition(" of ")[0]
        together.setdefault((title, answer.panel, answer.legend), []).append(answer)
    lines = []
    for (title, panel, legend), group in together.items():
        series = sum(answer.series for answer in group)
        first = next((answer.first for answer in group if answer.series), f"empty: {quiet(panel, legend)}")
        lines.append(
            f"| {title} | {panel} | {legend[:40]} | {series} | {first[:90]} |\n".replace("{{", "").replace("}}", "")
        )
    return lines

"""Services that show metrics: texts of /metrics, and a Watch that has read them."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from console.client.backlog import Behind as Behind_
from console.client.metrics import Watch
from console.model.audits import AuditRun
from console.model.families import NAMES
from console.model.readings import Readings
from console.model.ring import EVERY_S, Ring
from console.model.standing import Standing
from console.model.topology import SERVICES
from console.usecase.gather_overview import UnfinishedCache

from .browser import Browser

BEGIN = 1_700_000_000.0


class Shown:
    """The metrics of one process, as the services have them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        http = ["http_request_method", "http_route", "http_response_status_code", "error_type"]
        calls = ["server_address", "http_request_method", "url_template", "http_response_status_code", "error_type"]
        self.requests = self._histogram("http_server_request_duration_seconds", http)
        self.calls = self._histogram("http_client_request_duration_seconds", calls)
        self.delay = self._histogram("gocommerce_event_delay_seconds", ["topic", "consumer"])
        self.sent = self._counter("messaging_client_sent_messages_total", ["messaging_destination_name", "error_type"])
        self.orders = self._counter("gocommerce_order_transitions_total", ["to", "cause"])
        self.letters = self._counter("gocommerce_dead_letters_total", ["topic", "reason"])
        self.pending = self._gauge("gocommerce_outbox_pending")
        self.parked = self._gauge("gocommerce_outbox_parked")
        self.oldest = self._gauge("gocommerce_outbox_oldest_age_seconds")
        self.lag = self._gauge("gocommerce_consumer_lag_messages", ["topic", "partition"])
        self.anomalies = self._gauge("gocommerce_payment_anomalies_open", ["kind"])
        self.refunds = self._gauge("gocommerce_payment_refunds_open", ["status"])
        Info("gocommerce_build", "of a test", registry=self.registry).info({"version": "1.2.3"})

    def _histogram(self, name: str, labels: list[str]) -> Histogram:
        return Histogram(name, "of a test", labels, registry=self.registry)

    def _counter(self, name: str, labels: list[str]) -> Counter:
        return Counter(name, "of a test", labels, registry=self.registry)

    def _gauge(self, name: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(name, "of a test", labels, registry=self.registry)

    def request(self, route: str, status: int = 200, seconds: float = 0.004) -> None:
        error = str(status) if status >= 500 else ""
        self.requests.labels("POST" if "checkout" in route else "GET", route, str(status), error).observe(seconds)

    @property
    def text(self) -> str:
        return generate_latest(self.registry).decode()


def readings(*texts: str | None, ring: Ring | None = None) -> Readings:
    """Return the figures after looks at these texts, five seconds apart."""
    ring = ring or Ring(NAMES)
    for text in texts:
        ring.add(BEGIN + EVERY_S * len(ring.looks), text)
    return Readings([ring], now=lambda: ring.looks[-1].at if ring.looks else BEGIN)


def all_ready() -> dict[str, Standing]:
    checks = {"database": "ok", "redis": "ok", "kafka": "ok", "mongodb": "ok"}
    return {name: Standing("ready", checks) for name in SERVICES}


class Behind:
    """The services as the watch asks them: their metrics, and what they say on /ready."""

    def __init__(self) -> None:
        self.shown = {name: Shown() for name in SERVICES}
        self.checks: dict[str, Mapping[str, str]] = {name: {"database": "ok"} for name in SERVICES}
        self.away: set[str] = set()
        self.asked: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        name = request.headers["host"]
        self.asked.append(f"{name}{request.url.path}")
        if name in self.away:
            raise httpx2.ConnectError("away")
        if request.url.path == "/metrics":
            return httpx2.Response(200, text=self.shown[name].text)
        body = {"status": "ready", "checks": self.checks[name], "migrations": "ok"}
        return httpx2.Response(200, json=body)


def watched(behind: Behind, changes: list[int] | None = None) -> Watch:
    """Return a watch in front of the services, each of which has one process."""
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(behind))
    urls = {name: f"https://{name}" for name in SERVICES}
    return Watch(http, urls, lambda: changes.append(1) if changes is not None else None)


class NoRuns:
    """The topic of the auditor's runs before the first one."""

    async def runs(self, max_age_s: float = 0.0) -> list[AuditRun]:
        return []


class NoLetters:
    """Dead letter topics without a letter that nobody has handled."""

    items: Sequence[Any] = ()
    unread = 0

    async def look(self) -> "NoLetters":
        return self


class NoBacklog:
    """Consumers that have applied everything."""

    async def read(self) -> Behind_:
        return Behind_((), 0)


def served(browser: Browser, answers: Mapping[str, Any], behind: Behind | None = None) -> Behind:
    """Have the services answer these paths (of any service, or `service/path`), and the watch look at these metrics."""
    platform, behind = browser.platform, behind or Behind()
    answers = {"/v1/admin/outbox": {"items": [], "next_after_id": None}, **answers}

    async def answer(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        for key in (f"{request.url.host}{path}", path):
            if key in answers and not {request.url.host} & (platform.away | platform.statuses.keys()):
                platform.asked.append(request)
                return httpx2.Response(200, json=answers[key])
        return await platform(request)

    browser.app.state.http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    browser.app.state.watch = watched(behind)
    browser.app.state.audits = NoRuns()
    browser.app.state.unfinished = UnfinishedCache(NoBacklog(), NoLetters())
    return behind


async def looked(browser: Browser, behind: Behind) -> None:
    """Look twice, the second time now."""
    await browser.app.state.watch.look(time.time() - EVERY_S)
    await browser.app.state.watch.look(time.time())

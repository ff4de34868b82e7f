"""Probes: `/ping` and `/health` say that the process runs, `/ready` what it can reach, `/metrics` what it has done."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel, Field

from chassis.errors import Unavailable
from chassis.http.joined_metrics import Joined, counted
from chassis.http.load import Load
from chassis.http.metrics_text import MetricsText
from chassis.http.peers import Answer, NotReady, Peer
from chassis.http.routing import Router

log = structlog.get_logger(__name__)

CHECK_TIMEOUT_S = 2.0
REPORT_LIFETIME_S = 1.0
OPEN_METRICS = "application/openmetrics-text"
_open_metrics, _OPEN_METRICS_TYPE = choose_encoder(OPEN_METRICS)
Status = Literal["ready", "overloaded", "not_ready"]
Check = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Report:
    """The outcome of all checks: `ready` is False only when a critical one failed."""

    ready: bool
    checks: dict[str, str]
    migrations: str


class Readiness:
    """The checks behind `/ready`. A check fails by raising, or by taking more than 2 s.

    `migrations` raises unless the database is at the newest revision; it counts as critical.
    """

    def __init__(self, migrations: Check | None = None) -> None:
        self.migrations = migrations
        self._checks: dict[str, tuple[Check, bool]] = {}
        self._computing: asyncio.Task[Report] | None = None
        self._computed_at = float("-inf")

    def add(self, name: str, check: Check, critical: bool = False) -> None:
        """Add a dependency. Only a critical one makes the service not ready; others are reported as degraded."""
        self._checks[name] = (check, critical)

    def joined(self, peers: Sequence[Peer]) -> "Readiness":
        """Return these checks and those of the other processes, if there are any. All must be ready."""
        if not peers:
            return self
        result = Readiness(self.migrations)
        result._checks = self._checks | {peer.name: (peer.check, True) for peer in peers}
        return result

    def critical(self) -> "Readiness":
        """Return the critical checks only: others may take as long as a check may take."""
        result = Readiness(self.migrations)
        result._checks = {name: check for name, check in self._checks.items() if check[1]}
        return result

    async def report(self) -> Report:
        """Return the outcome of all checks. It is computed once at a time, and at most once a second."""
        now = time.monotonic()
        if self._computing is None or (self._computing.done() and now - self._computed_at > REPORT_LIFETIME_S):
            self._computing = asyncio.create_task(self._compute())
        # A cancelled probe must not cancel the computation that others wait for.
        return await asyncio.shield(self._computing)

    async def _compute(self) -> Report:
        try:
            return await self._check_all()
        finally:
            self._computed_at = time.monotonic()

    async def _check_all(self) -> Report:
        names = list(self._checks)
        reasons = await asyncio.gather(
            *(_reason(name, self._checks[name][0]) for name in names), _reason("migrations", self.migrations)
        )
        migrations = reasons.pop()
        ready = migrations is None
        checks: dict[str, str] = {}
        for name, reason in zip(names, reasons, strict=True):
            critical = self._checks[name][1]
            ready = ready and not (critical and reason)
            checks[name] = "ok" if reason is None else f"{'failed' if critical else 'degraded'}: {reason}"
        return Report(ready, checks, "ok" if migrations is None else f"failed: {migrations}")


async def _reason(name: str, check: Check | None) -> str | None:
    """Return None when the check passes, else a short reason. The driver's text goes to the log only."""
    if check is None:
        return None
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check()
    except TimeoutError:
        log.warning("readiness check timed out", check=name)
        return "no answer within 2 s"
    except Exception as error:
        log.warning("readiness check failed", check=name, error=f"{type(error).__name__}: {error}")
        if isinstance(error, NotReady):
            return "not ready"
        return "not current" if name == "migrations" and isinstance(error, RuntimeError) else "unreachable"
    return None


class PingView(BaseModel):
    message: Literal["pong"] = "pong"


class HealthView(BaseModel):
    status: Literal["healthy"] = "healthy"
    service: str = Field(examples=["orderfc"])


class ReadyView(BaseModel):
    """A check is `ok`, or `failed: <reason>` or `degraded: <reason>`.

    `overloaded` (200) means that requests were refused in the last 5 s because the process can take no more.
    """

    status: Status
    checks: dict[str, str] = Field(examples=[{"database": "ok", "kafka": "degraded: unreachable", "redis": "ok"}])
    migrations: str = Field(examples=["ok"])


class StatusView(BaseModel):
    """What `/ready` shows on the public port where there is another one for the details."""

    status: Status


router = Router(tags=["probes"])
public_router = Router(tags=["probes"])


@public_router.get("/ping", summary="Answer")
@router.get("/ping", summary="Answer")
async def ping() -> PingView:
    """Answer that the process runs."""
    return PingView()


_PONG = PingView().model_dump_json().encode()


async def answer_ping(_parameter: str, query: bytes) -> bytes | None:
    """The shortcut of `/ping`."""
    return None if query else _PONG


@public_router.get("/health", summary="Is it alive?")
@router.get("/health", summary="Is it alive?")
async def health(request: Request) -> HealthView:
    """Answer that the process is alive. Touches no dependency."""
    return HealthView(service=request.app.state.settings.service)


@router.get(
    "/ready",
    response_model=ReadyView,
    responses={503: {"model": ReadyView, "description": "The service's own database or its migrations are missing"}},
    summary="Can it work?",
)
async def ready(request: Request) -> JSONResponse:
    """Report whether the service can work: 200, or 503 when its own database or its migrations are missing."""
    report, status = await _state(request)
    view = ReadyView(status=status, checks=report.checks, migrations=report.migrations)
    return JSONResponse(view.model_dump(), status_code=200 if report.ready else 503)


@public_router.get("/ready", response_model=StatusView, summary="Can it work?")
async def ready_status(request: Request) -> JSONResponse:
    """Report as `/ready` of the management's port, without the details."""
    report, status = await _state(request)
    return JSONResponse({"status": status}, status_code=200 if report.ready else 503)


async def _state(request: Request) -> tuple[Report, Status]:
    readiness: Readiness = request.app.state.readiness
    load: Load = request.app.state.public_load
    peers: Sequence[Peer] = request.app.state.peers
    report = await readiness.report()
    return report, _status(report, overloaded=load.overloaded or any(peer.overloaded for peer in peers))


def _status(report: Report, *, overloaded: bool) -> Status:
    return "not_ready" if not report.ready else "overloaded" if overloaded else "ready"


def answers(own: Readiness, app: FastAPI) -> Mapping[bytes, Answer]:
    """Return what this process reports to the others. `own` are its checks without those of the others."""

    critical = own.critical()

    async def status() -> bytes:
        load: Load = app.state.load
        return _status(await critical.report(), overloaded=load.overloaded).encode()

    async def metrics() -> bytes:
        return counted(REGISTRY)

    return {b"ready": status, b"metrics": metrics}


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Answer with the metrics of all processes, or 503: without those of one, counters would fall.

    Who accepts OpenMetrics gets it, and with it the examples: a trace for each bucket of a histogram.
    """
    text: MetricsText = request.app.state.metrics
    open_metrics = OPEN_METRICS in request.headers.get("accept", "")
    content_type = _OPEN_METRICS_TYPE if open_metrics else CONTENT_TYPE_LATEST
    return Response(await text(open_metrics=open_metrics), headers={"content-type": content_type})


def metrics_text(app: FastAPI) -> MetricsText:
    """Return what makes the text of `/metrics` of an application."""

    async def make(open_metrics: bool) -> bytes:
        write = _open_metrics if open_metrics else generate_latest
        peers: Sequence[Peer] = app.state.peers
        if not peers:
            return write(REGISTRY)
        own = counted(REGISTRY)
        try:
            others = await asyncio.gather(*(peer.ask(b"metrics") for peer in peers))
        except (OSError, TimeoutError) as error:
            log.warning("metrics are not complete", error=f"{type(error).__name__}: {error}")
            raise Unavailable("A process of this service does not answer", retry_after=1) from error
        return await asyncio.to_thread(lambda: write(Joined([own, *others])))

    return MetricsText(make)

"""Starts and stops a service: one command line for all four, and a supervisor that lets nothing die in silence."""

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
import uvloop
from fastapi import FastAPI
from grpc import aio

from chassis import failpoint, logging, telemetry
from chassis.config import vault
from chassis.config.settings import ServiceSettings, load, vault_session
from chassis.db import migrations
from chassis.http.server import http_server
from chassis.kafka.topics import ensure_topics
from chassis.loops import wait_any

log = structlog.get_logger(__name__)

MIGRATION_POLL_S = 0.5

Task = Callable[[asyncio.Event], Awaitable[None]]

# Shares of the time to stop: for all parts together, and for what then has to be cancelled.
PARTS_SHARE = 0.75
CANCEL_SHARE = 0.1
CLOSE_TIMEOUT_S = 2

COMMANDS = {
    "serve": "HTTP, gRPC, consumers, relay and schedulers in one process",
    "api": "HTTP and gRPC only",
    "worker": "consumers, relay and schedulers, without gRPC (HTTP answers too, for the probes)",
    "migrate": "bring the database to the newest revision and exit",
    "topics": "create the topics that this service produces and consumes, and exit",
}


@dataclass
class Parts:
    """What a service is made of once its resources are open.

    `tasks` run until the stop event they are given is set: all at once, when HTTP and gRPC stop taking requests.
    `last` (the relay) is told when the requests and the tasks have ended, so that what they committed is still sent.
    `close` is called at the end, all at once and for at most 2 s.
    """

    app: FastAPI
    grpc: aio.Server | None = None
    tasks: list[tuple[str, Task]] = field(default_factory=list)
    last: list[tuple[str, Task]] = field(default_factory=list)
    close: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


@dataclass(frozen=True)
class Service:
    """A deployable: its package name, its settings class, the topics it uses and how its parts are built.

    `build(settings, workers)` opens the resources; `workers` is False for the command `api`.
    """

    name: str
    settings: type[ServiceSettings]
    build: Callable[[Any, bool], Awaitable[Parts]]
    topics: Sequence[str] = ()


def run_cli(service: Service) -> None:
    """Run the command named on the command line; exits with 2 for an unknown one, with 1 after a failure."""
    command = sys.argv[1] if len(sys.argv) == 2 else ""
    if command not in COMMANDS:
        lines = "\n".join(f"  {name:<8} {text}" for name, text in COMMANDS.items())
        sys.exit(f"usage: python -m {service.name} COMMAND\n{lines}")
    settings = load(service.settings)
    logging.setup(settings)
    if command == "migrate":
        uvloop.run(migrations.run(settings, service.name))
        log.info("database is at the newest revision", revision=migrations.head(service.name))
    elif command == "topics":
        created = uvloop.run(ensure_topics(settings, service.topics))
        log.info("topics exist", created=created)
    else:
        failpoint.arm(settings.failpoints)
        if not uvloop.run(_run(service, settings, workers=command != "api", worker_only=command == "worker")):
            sys.exit(1)


async def _run(service: Service, settings: ServiceSettings, *, workers: bool, worker_only: bool) -> bool:
    """Run until SIGTERM or SIGINT (True), or until a part ends by itself (False)."""
    provider = telemetry.setup(service.name, settings.otel_exporter_otlp_endpoint, settings.otel_traces_ratio)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    parts = await service.build(settings, workers)
    if settings.vault_addr:
        watch = partial(vault.watch, vault_session(settings), settings.vault_watch_interval_s)
        parts.tasks = [*parts.tasks, ("vault", watch)]
    try:
        return await _supervise(settings, parts, stop, worker_only=worker_only)
    finally:
        await _close(parts)
        await asyncio.to_thread(provider.shutdown)
        log.info("stopped")


async def _close(parts: Parts) -> None:
    async def bounded(close: Callable[[], Awaitable[None]]) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await close()

    await asyncio.gather(*(bounded(close) for close in parts.close))


async def _supervise(settings: ServiceSettings, parts: Parts, stop: asyncio.Event, *, worker_only: bool) -> bool:
    server = http_server(settings, parts.app)
    tasks_stop, last_stop = asyncio.Event(), asyncio.Event()
    running = {asyncio.create_task(server.serve(), name="http")}
    grpc_server = None if worker_only else parts.grpc
    if grpc_server is not None:
        await grpc_server.start()
        running.add(asyncio.create_task(_until_terminated(grpc_server), name="grpc"))
    migrated = asyncio.create_task(_until_migrated(parts.app.state.readiness.migrations, tasks_stop), name="migrations")
    ordinary = {asyncio.create_task(_after(migrated, run, tasks_stop), name=name) for name, run in parts.tasks}
    last = {asyncio.create_task(_after(migrated, run, last_stop), name=name) for name, run in parts.last}
    _freeze()
    log.info("started", port=settings.http_port)

    stopping = asyncio.create_task(stop.wait(), name="stop")
    done, _ = await asyncio.wait(running | ordinary | last | {stopping}, return_when=asyncio.FIRST_COMPLETED)
    asked = stopping in done
    stopping.cancel()
    _tell_failures((running | ordinary | last) & done, "a part of the service ended by itself")

    server.should_exit = True
    if grpc_server is not None:
        running.add(asyncio.create_task(_stop_grpc(grpc_server), name="grpc-stop"))
    tasks_stop.set()
    deadline = asyncio.get_running_loop().time() + settings.shutdown_timeout_s * PARTS_SHARE
    await _until(deadline, running | ordinary)
    last_stop.set()
    await _until(deadline, last)
    in_time = await _end((running | ordinary | last) - done, settings.shutdown_timeout_s * CANCEL_SHARE)
    return asked and in_time


async def _end(parts: set[asyncio.Task[None]], cancel_s: float) -> bool:
    """Tell of parts that failed while stopping; cancel those that did not stop, and give False when there were any."""
    late = {part for part in parts if not part.done()}
    failed = {part for part in parts - late if not part.cancelled() and part.exception()}
    _tell_failures(failed, "a part of the service failed while stopping")
    if late:
        log.error("did not stop in time", parts=sorted(part.get_name() for part in late))
        for part in late:
            part.cancel()
        await asyncio.wait(late, timeout=cancel_s)
    return not late


def _tell_failures(parts: set[asyncio.Task[None]], sentence: str) -> None:
    for part in parts:
        error = None if part.cancelled() else part.exception()
        log.error(sentence, part=part.get_name(), exc_info=error)


async def _until(deadline: float, tasks: set[asyncio.Task[None]]) -> None:
    """Wait for the tasks, at most until the loop's time is `deadline`; none is cancelled."""
    left = deadline - asyncio.get_running_loop().time()
    if tasks:
        await asyncio.wait(tasks, timeout=max(left, 0))


async def _until_migrated(check: Callable[[], Awaitable[object]] | None, stop: asyncio.Event) -> bool:
    """Wait until the check passes; False when the service is stopped before that."""
    told = False
    while check is not None and not stop.is_set():
        try:
            await check()
            break
        except Exception as error:
            if not told:
                log.warning("waiting for a migrated database", error=f"{type(error).__name__}: {error}")
            told = True
            await wait_any(MIGRATION_POLL_S, stop)
    return not stop.is_set()


async def _after(migrated: "asyncio.Task[bool]", run: Task, stop: asyncio.Event) -> None:
    if await asyncio.shield(migrated):
        await run(stop)


async def _until_terminated(server: aio.Server) -> None:
    await server.wait_for_termination()


async def _stop_grpc(server: aio.Server) -> None:
    await server.stop(grace=5)


def _freeze() -> None:
    """Take what start-up made out of the collector's sight: its full passes cost the 99th percentile (measured)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)

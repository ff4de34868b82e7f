"""Runs a service: one command line for all four, and a supervisor that ends the process when a part of it ends."""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
import uvloop
from fastapi import APIRouter, FastAPI
from grpc import aio

from chassis import clock, failpoint, logging, process_metrics, processes, telemetry
from chassis.admin import routes as admin
from chassis.admin.inside import Inside
from chassis.config import vault
from chassis.config.settings import ProcessSettings, ServiceSettings, load, vault_session
from chassis.db import backlog, hints, housekeeping, sessions
from chassis.http.app import create_app, management_app
from chassis.http.peers import Control
from chassis.http.probes import Readiness, answers
from chassis.http.server import HTTP_SHARE, http_server
from chassis.jobs import run_once
from chassis.kafka.consumer import ConsumerRunner
from chassis.kafka.producer import Producer
from chassis.kafka.relay import Relay
from chassis.loops import ClockWatch, Task, start_after, wait_until_migrated
from chassis.processes import ALONE, Group
from chassis.resources import CLOSE_TIMEOUT_S, Close, Parts, close_all, start_tracing

log = structlog.get_logger(__name__)

# Shares of the time to stop: for all parts together, and for what then has to be cancelled.
PARTS_SHARE = 0.75
CANCEL_SHARE = 0.1

COMMANDS = {
    "serve": "HTTP, gRPC, consumers, relay and schedulers in one process",
    "api": "HTTP and gRPC only",
    "worker": "consumers, relay and schedulers, without gRPC (HTTP answers too, for the probes)",
    "migrate": "bring the database to the newest revision and exit",
    "topics": "create the topics that this service produces and consumes, and exit",
}


@dataclass
class Process:
    """What is supervised: the servers and the background tasks of one process.

    `tasks` are stopped together, when HTTP and gRPC stop taking requests. `last` (the relay) is stopped after the
    requests and the tasks have ended, so that what they committed is still sent. `close` is called at the end, all at
    once and for at most 2 s; the last spans are sent meanwhile. `group` are the processes that answer on the same port:
    this one starts them, or was started by the first of them.
    """

    app: FastAPI
    grpc: aio.Server | None = None
    tasks: Sequence[Task] = ()
    last: Sequence[Task] = ()
    close: Sequence[Close] = ()
    group: Group = ALONE
    control: Control | None = None

    def from_start(self) -> list[Task]:
        """Return the parts that do not wait until the database is migrated."""
        return [*self.group.children, *([self.control] if self.control else ())]


@dataclass(frozen=True)
class Service:
    """A deployable: its settings, its routes, the topics it uses, and how its parts are built."""

    name: str
    settings: type[ProcessSettings]
    build: Callable[[Any], Awaitable[Parts]]
    routers: Sequence[APIRouter]
    description: str
    topics: Sequence[str] = ()

    def application(self, settings: ProcessSettings, ready: Readiness | None = None) -> FastAPI:
        """Make the application without its state: enough for its OpenAPI document."""
        # Last: an address is looked up in the order of the routes, and customers come more often.
        own = admin.routers(has_events=bool(self.topics)) if issubclass(self.settings, ServiceSettings) else ()
        routers = [*self.routers, *own]
        return create_app(settings, routers=routers, ready=ready, title=self.name, description=self.description)

    async def open(
        self, settings: ProcessSettings, *, workers: bool, grpc: bool = True, group: Group = ALONE
    ) -> Process:
        """Build the parts and assemble the process; without `workers` it serves requests only."""
        parts = await self.build(settings)
        ready, close = parts.resources.ready, parts.resources.close
        tasks: list[Task] = [process_metrics.Reporter(), *parts.api_loops, *(parts.loops if workers else ())]
        last: list[Task] = []
        inside = Inside()
        if parts.handlers:
            producer, db = parts.resources.add("kafka", Producer(settings)), parts.resources.database
            if workers:
                consumer = ConsumerRunner(settings, self.name, parts.handlers, producer)
                tasks += [consumer, housekeeping.loop(db, parts.purges), backlog.loop(db)]
                relay = Relay(settings, db, producer, on_published=parts.on_published, on_parked=parts.on_parked)
                last, inside = [relay], Inside(consumer, relay)
            else:
                tasks.append(hints.loop(db))
        if clock.moved():
            tasks.append(ClockWatch())
        if settings.vault_addr and group.is_first:
            tasks.append(vault.Watch(vault_session(settings), settings.vault_watch_interval_s))
        app = self.application(settings, ready.joined(group.peers))
        app.state.peers = group.peers
        for name, value in parts.state.items():
            setattr(app.state, name, value)
        app.state.verifier = parts.verifier
        app.state.inside, app.state.on_retry = inside, parts.on_retry
        app.state.shortcuts.add(parts.shortcuts)
        server = await parts.grpc() if parts.grpc is not None and grpc else None
        control = Control(group.control, answers(ready, app)) if group.control else None
        return Process(app, server, tasks, last, close, group, control)


def run_cli(service: Service) -> None:
    """Run the command named on the command line; exits with 2 for an unknown one, with 1 after a failure."""
    command = sys.argv[1] if len(sys.argv) == 2 else ""
    if command not in COMMANDS:
        lines = "\n".join(f"  {name:<8} {text}" for name, text in COMMANDS.items())
        sys.exit(f"usage: python -m {service.name} COMMAND\n{lines}")
    for number in (signal.SIGTERM, signal.SIGINT):
        # As process 1 Python has no default for them, and the settings may be waited for.
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    logging.setup(service.name)
    settings = load(service.settings)
    logging.setup(service.name, settings.log_level)
    if command in ("migrate", "topics"):
        gc.enable()
        if refusal := uvloop.run(run_once(command, settings, service.topics)):
            sys.exit(f"{service.name}: {refusal}")
    else:
        failpoint.arm(settings.failpoints)
        clock.follow(settings.clock_file)
        group = processes.fork(settings) if settings.http_processes > 1 and command != "worker" else ALONE
        try:
            stopped_well = uvloop.run(_run(service, settings, command, group))
        finally:
            group.close()
        if not stopped_well:
            sys.exit(1)


async def _run(service: Service, settings: ProcessSettings, command: str, group: Group) -> bool:
    """Run until SIGTERM or SIGINT (True), or until a part ends by itself (False)."""
    provider = start_tracing(settings)
    stop = asyncio.Event()
    group.set_on_stop(stop)
    if isinstance(settings, ServiceSettings) and (reason := await sessions.problem(settings)):
        log.error("the database can't be used", reason=reason)
        return False
    workers, grpc = command != "api" and group.is_first, command != "worker" and group.is_first
    process = await service.open(settings, workers=workers, grpc=grpc, group=group)
    try:
        return await _supervise(settings, process, stop)
    finally:
        await asyncio.gather(close_all(process.close), telemetry.shut_down(provider, CLOSE_TIMEOUT_S))
        log.info("stopped")


async def _supervise(settings: ProcessSettings, process: Process, stop: asyncio.Event) -> bool:
    servers = [http_server(settings, process.app, listeners=process.group.listeners)]
    if settings.management_port and process.group.is_first:
        servers.append(http_server(settings, management_app(settings, process.app), settings.management_port))
    tasks_stop, last_stop = asyncio.Event(), asyncio.Event()
    running = {asyncio.create_task(server.serve(), name="http") for server in servers}
    running |= {asyncio.create_task(_until(tasks_stop, part), name=part.name) for part in process.from_start()}
    if process.grpc is not None:
        await process.grpc.start()
        running.add(asyncio.create_task(_grpc_done(process.grpc), name="grpc"))
    check = process.app.state.readiness.migrations
    migrated = asyncio.create_task(wait_until_migrated(check, tasks_stop), name="migrations")
    ordinary = {start_after(migrated, task, tasks_stop) for task in process.tasks}
    last = {start_after(migrated, task, last_stop) for task in process.last}
    _freeze_gc()
    log.info("started", port=settings.http_port)

    stopping = asyncio.create_task(stop.wait(), name="stop")
    done, _ = await asyncio.wait(running | ordinary | last | {stopping}, return_when=asyncio.FIRST_COMPLETED)
    asked = stopping in done
    stopping.cancel()
    _log_failures((running | ordinary | last) & done, "a part of the service ended by itself")

    for server in servers:
        server.should_exit = True
    if process.grpc is not None:
        running.add(asyncio.create_task(process.grpc.stop(grace=5), name="grpc-stop"))
    tasks_stop.set()
    deadline = asyncio.get_running_loop().time() + _parts_s(settings.shutdown_timeout_s, process.group)
    await _wait_until(deadline, running | ordinary)
    last_stop.set()
    await _wait_until(deadline, last)
    in_time = await _cancel_late((running | ordinary | last) - done, settings.shutdown_timeout_s * CANCEL_SHARE)
    return asked and in_time


def _parts_s(shutdown_s: float, group: Group) -> float:
    """Return how long the parts may take to stop. Another process than the first has closed when this time is over."""
    parts_s = shutdown_s * PARTS_SHARE
    return parts_s if group.is_first else max(parts_s - CLOSE_TIMEOUT_S, shutdown_s * HTTP_SHARE)


async def _cancel_late(parts: set[asyncio.Task[None]], cancel_s: float) -> bool:
    """Log the parts that failed while stopping and cancel those still running. Returns False if there were any."""
    late = {part for part in parts if not part.done()}
    failed = {part for part in parts - late if not part.cancelled() and part.exception()}
    _log_failures(failed, "a part of the service failed while stopping")
    if late:
        log.error("did not stop in time", parts=sorted(part.get_name() for part in late))
        for part in late:
            part.cancel()
        await asyncio.wait(late, timeout=cancel_s)
    return not late


def _log_failures(parts: set[asyncio.Task[None]], sentence: str) -> None:
    for part in parts:
        error = None if part.cancelled() else part.exception()
        log.error(sentence, part=part.get_name(), exc_info=error)


async def _wait_until(deadline: float, tasks: set[asyncio.Task[None]]) -> None:
    """Wait for the tasks, at most until the loop's time is `deadline`; none is cancelled."""
    left = deadline - asyncio.get_running_loop().time()
    if tasks:
        await asyncio.wait(tasks, timeout=max(left, 0))


async def _until(stop: asyncio.Event, part: Task) -> None:
    await part.run(stop)


async def _grpc_done(server: aio.Server) -> None:
    await server.wait_for_termination()


def _freeze_gc() -> None:
    """Move the objects of the start out of garbage collection: full passes over them cost the 99th percentile."""
    # Not collected before: of 184,000 objects 800 are garbage, and the look at them takes a tenth of the start.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()

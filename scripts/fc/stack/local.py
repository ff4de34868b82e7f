"""The local stack: servers, simulator and services as supervised processes, up in one call and gone in another."""

import asyncio
import os
import random
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from importlib import import_module
from pathlib import Path
from typing import Self

import httpx2

from chassis.config.settings import ServiceSettings, load
from chassis.db import migrations
from chassis.kafka.topics import ensure_topics
from chassis.service import Service
from fc.stack import processes
from fc.stack.accounts import ACCOUNTS, Accounts
from fc.stack.errors import StackError
from fc.stack.layout import PORTS, SERVICES, Layout
from fc.stack.programs import SIMULATOR, Programs, settings_class
from fc.stack.supervisor import Supervisor
from servers.base import Missing, Server

READY_S = 90
POLL_S = 0.05
STOP_SERVICES_S = 30
STOP_SERVERS_S = 25
# A program that is started more often while we wait for it will not become ready.
MAX_STARTS = 2
TAIL_LINES = 25
HASTY = {
    "PAYMENT_RETRY_BACKOFF_S": "0.2",
    "SCHEDULER_RETRY_INTERVAL_S": "0.3",
    "SCHEDULER_EXPIRY_INTERVAL_S": "1",
    "KAFKA_SESSION_TIMEOUT_MS": "3000",
    "LOGIN_LIMIT_PER_ADDRESS": "10000/minute",
    "REGISTER_LIMIT_PER_ADDRESS": "10000/minute",
}
"""Settings of a stack for tests: it retries and polls faster than one for people."""

Report = Callable[[str, float], None]


def _quiet(_what: str, _seconds: float) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Row:
    """One part as `fc status` shows it: `since` in seconds since 1970, 0 when it does not run."""

    name: str
    state: str
    pid: int
    since: float
    port: int


class Stack:
    """One stack in its folder. The same calls work again at any time: what runs is left running."""

    def __init__(
        self, layout: Layout, overrides: Mapping[str, str] | None = None, given: Mapping[str, str] | None = None,
        reach: Mapping[str, int] | None = None,
    ) -> None:  # fmt: skip
        self.layout = layout
        self.programs = Programs(layout, overrides, given, reach)
        self.supervisor = Supervisor(layout)

    @classmethod
    def for_tests(
        cls, home: Path, overrides: Mapping[str, str] | None = None,
        between: Callable[[Layout], Mapping[str, int]] | None = None,
    ) -> Self:  # fmt: skip
        """Make a stack on free ports with the settings HASTY; `between` puts proxies before its parts, see Programs.

        It does not read what the developer says: a `.env` that leads to the real Xendit must not lead tests there.
        """
        layout = Layout(home, _free_offset())
        return cls(layout, {**HASTY, **(overrides or {})}, given={}, reach=between(layout) if between else None)

    @property
    def home(self) -> Path:
        """The stack's folder."""
        return self.layout.home

    def urls(self) -> dict[str, str]:
        """Give all HTTP addresses."""
        return self.layout.urls()

    def accounts(self) -> Accounts:
        """Give the seed's accounts, with the administrator that this stack was told to make."""
        told = self.programs.environment("userfc")
        return {**ACCOUNTS, "admin": (told["ADMIN_EMAIL"], told["ADMIN_PASSWORD"])}

    def up(self, report: Report = _quiet) -> bool:
        """Start what does not run and wait until all four services are ready; False when all ran already.

        `report(what, seconds)` is called at each step. Raises StackError with the reason and the log that explains it.
        """
        with self._alone():
            if self._all_running() and asyncio.run(self._all_ready()):
                return False
            asyncio.run(self._up(report))
            return True

    def outdated(self) -> bool:
        """Tell whether settings have changed since the stack was started; `down` and `up` apply them."""
        return self.supervisor.running and self.supervisor.outdated(self.programs.all())

    async def _up(self, report: Report) -> None:
        if self.outdated():
            # What does not run as it is configured may well run as it is configured now.
            self._stop()
        if not self.supervisor.running:
            self._refuse_leftovers()
            self._refuse_taken_ports()
            await self._prepare(report)
            self.supervisor.launch(self.programs.all(), self.programs.base_environment())
        if self.programs.simulated:
            self.supervisor.start(SIMULATOR)
        await asyncio.gather(*(self._start_server(server, report) for server in self.programs.servers))
        await self._make_topics(report)
        await asyncio.gather(*(self._start_service(name, report) for name in SERVICES))
        if self.programs.simulated:
            await self._wait(SIMULATOR, lambda: self._answers(f"{self.layout.url(SIMULATOR)}/ping"), report)

    async def _prepare(self, report: Report) -> None:
        """Make data folders and configuration, all servers at once; only the first time takes long."""
        began = time.monotonic()
        try:
            await asyncio.gather(*(asyncio.to_thread(server.prepare) for server in self.programs.servers))
        except Missing as missing:
            raise StackError(str(missing)) from None
        report("servers prepared", time.monotonic() - began)

    async def _start_server(self, server: Server, report: Report) -> None:
        self.supervisor.start(server.name)
        await self._wait(server.name, server.ready, report)
        if server is self.programs.postgres:
            await self.programs.postgres.make_databases()
            await self._migrate(report)

    async def _migrate(self, report: Report) -> None:
        began = time.monotonic()
        for name in SERVICES:
            await migrations.run(self._settings(name), name)
        report("databases migrated", time.monotonic() - began)

    async def _make_topics(self, report: Report) -> None:
        began = time.monotonic()
        await ensure_topics(self._settings("orderfc"), topics())
        report("topics exist", time.monotonic() - began)

    def _settings(self, service: str) -> ServiceSettings:
        """Give a service's settings as far as addresses and credentials go."""
        wanted = ("DB_", "KAFKA_")
        told = {
            name.lower(): value for name, value in self.programs.environment(service).items() if name.startswith(wanted)
        }
        try:
            return load(settings_class(service), **told)
        except SystemExit as refused:
            raise StackError(str(refused)) from None

    async def _start_service(self, name: str, report: Report) -> None:
        self.supervisor.start(name)
        await self._wait(name, lambda: self._answers(f"{self.layout.url(name)}/ready"), report)

    async def ready(self, name: str) -> None:
        """Wait until a service answers /ready with 200. Raises StackError after 90 s."""
        await self._until(name, lambda: self._answers(f"{self.layout.url(name)}/ready"))

    async def _wait(self, name: str, check: Callable[[], Awaitable[bool]], report: Report) -> None:
        began = time.monotonic()
        await self._until(name, check)
        report(f"{name} ready", time.monotonic() - began)

    async def _until(self, name: str, check: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + READY_S
        failures = 0
        starts: set[float] = set()
        while not await check():
            # One that ends again and again, at once or after a while, will not become ready by waiting for it.
            state = self.supervisor.state(name)
            failures += state.detail in ("BACKOFF", "FATAL", "EXITED")
            starts.add(state.since)
            if failures > 3 / POLL_S or len(starts) > MAX_STARTS or time.monotonic() > deadline:
                raise StackError(f"{name} did not become ready. The end of {self.layout.log(name)}:\n{self.tail(name)}")
            await asyncio.sleep(POLL_S)

    @staticmethod
    async def _answers(url: str) -> bool:
        try:
            async with httpx2.AsyncClient(timeout=3, trust_env=False) as client:
                return bool((await client.get(url)).status_code == 200)
        except httpx2.HTTPError:
            return False

    async def _all_ready(self) -> bool:
        return all(await asyncio.gather(*(self._answers(f"{self.layout.url(name)}/ready") for name in SERVICES)))

    def _all_running(self) -> bool:
        if not self.supervisor.running:
            return False
        states = {state.name: state.detail for state in self.supervisor.states()}
        wanted = {program.name for program in self.programs.all()}
        return all(states.get(name) == "RUNNING" for name in wanted)

    def status(self) -> list[Row]:
        """Give one row for each part of the stack."""
        states = {state.name: state for state in self.supervisor.states()} if self.supervisor.running else {}
        rows = []
        for name in (*(server.name for server in self.programs.servers), SIMULATOR, *SERVICES):
            if name == SIMULATOR and not self.programs.simulated:
                continue
            state = states.get(name)
            detail = state.detail.lower() if state else "stopped"
            pid, since = (state.pid, state.since if state.pid else 0) if state else (0, 0)
            rows.append(Row(name, detail, pid, since, self.layout.port(name)))
        return rows

    def make_topics(self) -> list[str]:
        """Create the topics that are missing and return their names. Raises StackError without a broker."""
        if not asyncio.run(self.programs.kafka.ready()):
            raise StackError("the broker does not answer: is the stack up?")
        return asyncio.run(ensure_topics(self._settings("orderfc"), topics()))

    def tail(self, name: str, lines: int = TAIL_LINES) -> str:
        """Give the end of a program's log."""
        path = self.layout.log(name)
        if not path.exists():
            return "(no log yet)"
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def down(self) -> bool:
        """Stop the services, then the servers, and leave no process behind; False when nothing ran."""
        with self._alone():
            return self._stop()

    def _stop(self) -> bool:
        running = self.supervisor.running
        if running:
            self.supervisor.stop_all(SERVICES, STOP_SERVICES_S)
            servers = [SIMULATOR, *(server.name for server in self.programs.servers)]
            self.supervisor.stop_all(servers, STOP_SERVERS_S)
            self.supervisor.shutdown()
        left = processes.end(processes.of_stack(self.home))
        self.supervisor.tidy()
        return running or left > 0

    def wipe(self) -> None:
        """Remove data, logs and generated files. The stack must be down."""
        with self._alone():
            if self.supervisor.running:
                raise StackError("the stack is running: stop it first")
            for name in ("data", "logs", "run"):
                shutil.rmtree(self.home / name, ignore_errors=True)
                if (self.home / name).exists():
                    raise StackError(f"{self.home / name} can't be removed by this user")

    def _refuse_leftovers(self) -> None:
        """End what a killed supervisor has left behind: two keepers of one data folder would spoil it."""
        processes.end(processes.of_stack(self.home))

    def _refuse_taken_ports(self) -> None:
        names = {name for name in PORTS if name != SIMULATOR or self.programs.simulated}
        taken = [name for name in sorted(names) if processes.is_taken(self.layout.port(name))]
        if taken:
            lines = [
                f"  port {self.layout.port(name)} ({name}) is held by {processes.holder(self.layout.port(name))}"
                for name in taken
            ]
            hint = "Stop it, or shift all ports of this stack with FC_PORT_OFFSET=1000."
            raise StackError("\n".join(["The stack can't start:", *lines, hint]))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the stack's lock: two commands at once would start or stop each other's processes."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "lock").open("a+") as file:
            try:
                flock(file, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise StackError(f"another fc command works on {self.home} (process {file.read().strip()})") from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield


def topics() -> list[str]:
    """Give every topic that a service produces or consumes."""
    found: set[str] = set()
    for name in SERVICES:
        service: Service = import_module(f"{name}.app").SERVICE
        found |= set(service.topics)
    return sorted(found)


def _free_offset() -> int:
    """Choose an offset at which every port is free now."""
    for _ in range(200):
        # Below the range from which the system takes ports for outgoing connections, as far as that is possible.
        offset = random.randrange(100, 3_500)
        if not any(processes.is_taken(port + offset) for port in PORTS.values()):
            return offset
    raise StackError("no free ports were found")

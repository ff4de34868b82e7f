"""The start of a stack: servers side by side, databases, topics, then services; each step is waited for."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from importlib import import_module

import httpx2

from chassis.config.settings import ServiceSettings, load
from chassis.db import migrations
from chassis.errors import Refused
from chassis.kafka.topics import ensure_topics
from chassis.service import Service
from console.model.audits import TOPIC as AUDITS
from console.model.journal import TOPIC as JOURNAL
from fc.stack.errors import StackError
from fc.stack.layout import SERVICES, SIMULATOR, Layout
from fc.stack.programs import Programs, settings_class
from fc.stack.supervisor import Supervisor
from servers.base import Missing, Server
from servers.postgres import PASSWORD as DATABASE_PASSWORD

READY_S = 90
POLL_S = 0.05
# A program that has been started more often than this while it is waited for will not become ready.
MAX_STARTS = 2
# About three seconds of polls during which the supervisor sees the program ended.
MAX_FAILURES = 3 / POLL_S
TAIL_LINES = 25
# All addresses here are of plain HTTP. To load the authorities that a client trusts takes 30 ms of processor time, and
# the programs that are polled need it themselves.
_TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

Report = Callable[[str, float], None]
"""Called at each step with what is done and the seconds that it took."""


def silent(_step: str, _seconds: float) -> None:
    """Discard the report."""


async def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        async with httpx2.AsyncClient(timeout=3, trust_env=False, verify=_TRUSTS_NOBODY) as client:
            return bool((await client.get(url)).status_code == 200)
    except httpx2.HTTPError:
        return False


def tail(layout: Layout, name: str, lines: int = TAIL_LINES) -> str:
    path = layout.log(name)
    if not path.exists():
        return "(no log yet)"
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def topics() -> list[str]:
    """Return every topic that a service produces or consumes, that of the auditor's reports, and the journal."""
    names: set[str] = {AUDITS, JOURNAL}
    for name in SERVICES:
        service: Service = import_module(f"{name}.app").SERVICE
        names |= set(service.topics)
    return sorted(names)


async def make_topics(programs: Programs) -> list[str]:
    """Create the topics that are missing and return their names. Raises StackError when the broker refuses."""
    try:
        return await ensure_topics(connection_settings(programs, "orderfc"), topics())
    except Refused as refused:
        raise StackError(str(refused)) from None


def connection_settings(programs: Programs, service: str) -> ServiceSettings:
    """Return the settings of a service with its addresses and credentials and defaults for everything else."""
    environment = programs.environment(service)
    arguments = {
        name.lower(): value for name, value in environment.items() if name.startswith(("DB_", "KAFKA_", "ENVIRONMENT"))
    }
    arguments |= {"db_migration_user": service, "db_migration_password": DATABASE_PASSWORD}
    arguments["db_audit_password"] = DATABASE_PASSWORD
    try:
        return load(settings_class(service), **arguments)
    except SystemExit as refused:
        raise StackError(str(refused)) from None


class Startup:
    """Starts programs and waits for them. Raises StackError with the end of the log of a program that fails."""

    def __init__(self, layout: Layout, programs: Programs, supervisor: Supervisor, report: Report = silent) -> None:
        self._layout = layout
        self._programs = programs
        self._supervisor = supervisor
        self._report = report

    async def prepare(self) -> None:
        """Make data folders and configuration of all servers at once; only the first time takes long."""
        began = time.monotonic()
        self._programs.clock.make()
        try:
            servers = (*self._programs.servers, *self._programs.observers)
            await asyncio.gather(*(asyncio.to_thread(server.prepare) for server in servers))
        except Missing as missing:
            raise StackError(str(missing)) from None
        self._report("servers prepared", time.monotonic() - began)

    async def run(self) -> None:
        """Start every program that does not run, in order."""
        if self._programs.simulated:
            self._supervisor.start(SIMULATOR)
        servers = (*self._programs.servers, *self._programs.observers)
        await asyncio.gather(*(self._start_server(server) for server in servers))
        began = time.monotonic()
        await make_topics(self._programs)
        self._report("topics exist", time.monotonic() - began)
        await asyncio.gather(*(self._start_service(name) for name in self._programs.deployed))
        if self._programs.simulated:
            await self._wait(SIMULATOR, lambda: answers(f"{self._layout.url(SIMULATOR)}/ping"))

    async def _start_server(self, server: Server) -> None:
        self._supervisor.start(server.name)
        await self._wait(server.name, server.ready)
        if server is self._programs.postgres:
            await self._programs.postgres.make_databases()
            await self._set_clock()
            await self._migrate()

    async def _set_clock(self) -> None:
        """Give the databases the clock of development. Production has none, and none of its data is from later."""
        clock = self._programs.clock
        if not self._programs.in_production:
            await clock.install()
        elif clock.ahead_s:
            raise StackError("the clock of this stack's data is ahead, and production has none: `fc down --wipe` first")

    async def _migrate(self) -> None:
        began = time.monotonic()
        try:
            for name in SERVICES:
                await migrations.run(connection_settings(self._programs, name), name)
        except Refused as refused:
            raise StackError(str(refused)) from None
        self._report("databases migrated", time.monotonic() - began)

    async def _start_service(self, name: str) -> None:
        self._supervisor.start(name)
        await self._wait(name, lambda: self.service_ready(name))

    async def service_ready(self, name: str) -> bool:
        """Whether a service or the console answers /ready with 200."""
        return await answers(f"{self._layout.url(name)}/ready")

    async def _wait(self, name: str, check: Callable[[], Awaitable[bool]]) -> None:
        began = time.monotonic()
        await self.wait_until(name, check)
        self._report(f"{name} ready", time.monotonic() - began)

    async def wait_until(self, name: str, check: Callable[[], Awaitable[bool]]) -> None:
        """Poll `check` until it holds. Raises StackError after 90 s, or sooner when the program keeps ending."""
        deadline = time.monotonic() + READY_S
        failures = 0
        starts: set[float] = set()
        while not await check():
            state = self._supervisor.state(name)
            failures += state.detail in ("BACKOFF", "FATAL", "EXITED")
            starts.add(state.since)
            if failures > MAX_FAILURES or len(starts) > MAX_STARTS or time.monotonic() > deadline:
                log, end = self._layout.log(name), tail(self._layout, name)
                raise StackError(f"{name} did not become ready. The end of {log}:\n{end}")
            await asyncio.sleep(POLL_S)

"""One side of a measurement: a checkout with a stack of its own, whose services are started as a row needs them."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg

from bench.speed import usage
from bench.speed.errors import Unmeasured
from bench.speed.processes import Processes, answers_200, opened, wait_until
from fc.platform.sources import Sources, XenditAddress
from fc.stack import ports
from fc.stack.layout import ROOT, SERVICES, Layout
from fc.stack.local import Stack
from fc.stack.programs import Programs
from servers.postgres import Postgres
from testkit.ports import free_port

PACKAGES = ("chassis", *SERVICES, "scripts")
UP_S, ANSWER_S = 180, 30
NO_LIMIT = "100000000/minute"
SERVERS = ("postgres", "kafka", "redis", "mongo")
XENDIT = "xendit"
DEFAULTS: Mapping[str, str] = {}
STACK_UP = Path(__file__).with_name("stack_up.py")


class Side:
    """A stack in a folder of its own. Its `name` is shown where two are compared."""

    def __init__(self, name: str = "", root: Path = ROOT, python: str = sys.executable) -> None:
        self.name = name
        self.root = root
        self.python = python
        self.home = Path(tempfile.mkdtemp(prefix="bench-"))
        # PostgreSQL runs as another user than root.
        self.home.chmod(0o755)
        self.secret = secrets.token_hex(32)
        self.webhook_token = secrets.token_hex(16)
        self.customers: list[int] = []
        # Of the checkouts over HTTP alone: the last order before them, and how many were answered.
        self.first_order, self.answered = 0, 0
        self.layout = Layout(self.home, ports.free_offset())
        self.port = self.layout.port
        self.xendit_port = free_port()
        self.stack = Stack(self.layout, self._settings(), settings={})
        self.processes = Processes(self.home, self._environment())
        self._environments: dict[str, dict[str, str]] = {}
        self._commands: dict[str, tuple[str, Mapping[str, str]]] = {}

    def _settings(self) -> dict[str, str]:
        """The settings of a fresh installation, without the limits that a load would meet."""
        limits = [f"LOGIN_LIMIT_PER_{what}" for what in ("ADDRESS", "ACCOUNT", "ACCOUNT_TOTAL", "SITE")]
        return {
            **dict.fromkeys([*limits, "CHECKOUT_LIMIT_PER_USER"], NO_LIMIT),
            "MAX_OPEN_ORDERS_PER_USER": "1000000",
            "JWT_SECRET": self.secret,
            "XENDIT_WEBHOOK_TOKEN": self.webhook_token,
            "XENDIT_BASE_URL": f"http://127.0.0.1:{self.xendit_port}",
        }

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join(str(self.root / package) for package in PACKAGES)
        base = Programs(self.layout, settings={}).base_environment()
        return {**base, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}

    def compile(self) -> None:
        """Compile the packages, as their installation in an image does: no process of a stack writes bytecode."""
        folders = [str(self.root / package / package) for package in PACKAGES if package != "scripts"]
        subprocess.run([self.python, "-m", "compileall", "-q", *folders], check=True, timeout=UP_S)

    def up(self) -> None:
        """Start servers, migrate, and leave the services stopped. Raises Unmeasured."""
        self.compile()
        command = [self.python, "-P", str(STACK_UP), str(self.home), str(self.layout.offset)]
        command.append(json.dumps(self._settings()))
        try:
            done = subprocess.run(
                command, env=self._environment(), cwd="/", capture_output=True, text=True, timeout=UP_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise Unmeasured(f"the stack of {self.root} did not start within {UP_S} s") from None
        if done.returncode:
            raise Unmeasured(f"the stack of {self.root} did not start: {done.stderr.strip()[-1500:]}")
        self._environments = json.loads(done.stdout.splitlines()[-1])
        self.stack.supervisor.stop_all(SERVICES, ANSWER_S)
        self._start_stand_in()

    def _start_stand_in(self) -> None:
        """Start what stands in for Xendit: this checkout's, on both sides."""
        command = [sys.executable, "-m", "bench.speed.stand_in", str(self.xendit_port), str(self.port("paymentfc"))]
        ours = os.pathsep.join(str(ROOT / package) for package in PACKAGES)
        self.processes.start(XENDIT, [*command, self.webhook_token], {"PYTHONPATH": ours})
        url = f"http://127.0.0.1:{self.xendit_port}/_sim/invoices"
        wait_until(lambda: self.processes.alive(XENDIT) and answers_200(url), "the stand-in does not answer", ANSWER_S)

    def down(self) -> None:
        """Stop everything and remove the folder."""
        self.processes.stop_all()
        self.stack.down()
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self, settings: Mapping[str, str] = DEFAULTS, /, **commands: str) -> None:
        """Have exactly these services run, each with its command, and wait until they are ready. Raises Unmeasured.

        `settings` are further ones, for each of them.
        """
        running = self.processes.pids()
        for name, (command, given) in list(self._commands.items()):
            # One that has ended by itself is started again: the row that it failed is over.
            if (commands.get(name), settings) != (command, given) or name not in running:
                self.stop(name)
        for name in commands.keys() - self._commands.keys():
            self.start(name, commands[name], settings)
        for name in commands:
            self.wait_ready(name)

    def run_all(self) -> None:
        self.run(**dict.fromkeys(SERVICES, "serve"))

    def start(self, name: str, command: str, settings: Mapping[str, str] = DEFAULTS) -> None:
        """Start a service without waiting for it."""
        self.processes.start(name, [self.python, "-m", name, command], {**self._environments[name], **settings})
        self._commands[name] = (command, settings)

    def stop(self, name: str) -> None:
        """Stop a service as an orchestrator does. Raises Unmeasured when it does not end."""
        self._commands.pop(name, None)
        self.processes.stop(name, signal.SIGTERM)

    def wait_ready(self, name: str) -> None:
        """Wait until a service is ready. Raises Unmeasured with the end of its log."""
        url = f"http://127.0.0.1:{self.port(name)}/ready"
        wait_until(
            lambda: self.processes.alive(name) and answers_200(url), f"{name} is not ready", ANSWER_S, poll_s=0.01
        )

    def pids(self) -> dict[str, int]:
        """Return the process of each part that runs."""
        states = {state.name: state.pid for state in self.stack.supervisor.states()}
        return {**self.processes.pids(), **{name: states[name] for name in SERVERS if states.get(name)}}

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds of each part so far."""
        return {name: usage.cpu_s(pid) for name, pid in self.pids().items()}

    async def connect(self, service: str) -> asyncpg.Connection:
        """Open a superuser's connection to a service's database."""
        return await Postgres(self.home / "data" / "postgres", self.port("postgres")).connect(service)

    def query(self, service: str, sql: str, *values: object) -> list[asyncpg.Record]:
        """Run one statement with values, or several without, on a connection of its own."""

        async def run() -> list[asyncpg.Record]:
            connection = await self.connect(service)
            try:
                if values:
                    return list(await connection.fetch(sql, *values))
                await connection.execute(sql)
                return []
            finally:
                await connection.close()

        return asyncio.run(run())

    def value(self, service: str, sql: str, *values: object) -> Any:
        """Return the first column of a statement's first row."""

        async def run() -> Any:
            connection = await self.connect(service)
            try:
                return await connection.fetchval(sql, *values)
            finally:
                await connection.close()

        return asyncio.run(run())

    def post(self, port: int, path: str, body: object = None) -> Any:
        """Post JSON and return the answer's. Raises Unmeasured unless it is 2xx."""
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), method="POST")
        request.add_header("Content-Type", "application/json")
        return json.loads(opened(request))

    def control(self, path: str) -> Any:
        """Tell what stands in for Xendit what to do."""
        return self.post(self.xendit_port, f"/_bench/{path}")

    def sources(self) -> Sources:
        """Return the addresses that the audit reads."""
        sources = Sources.of_stack(self.layout)
        xendit = XenditAddress(f"http://127.0.0.1:{self.xendit_port}")
        return replace(sources, xendit=xendit)

    def postgres(self) -> Mapping[str, str]:
        """Return the environment with which PostgreSQL's programs reach the server."""
        server = Postgres(self.home / "data" / "postgres", self.port("postgres"))
        address = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port)}
        return {**address, "PGUSER": "admin", "PGPASSWORD": server.superuser_password}

"""The local stack: servers, simulator, services and console as supervised processes of this machine."""

import asyncio
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from chassis.config.settings import ServiceSettings
from fc.stack import observe, ports, processes, startup
from fc.stack.accounts import Accounts, accounts_with
from fc.stack.brokers import choose
from fc.stack.brokers import folder as brokers_folder
from fc.stack.errors import StackError
from fc.stack.layout import DEPLOYED, SIMULATOR, Layout
from fc.stack.lock import locked
from fc.stack.programs import Programs
from fc.stack.startup import Report, Startup, silent
from fc.stack.supervisor import State, Supervisor

STOP_SERVICES_S = 30
STOP_SERVERS_S = 25
HASTY = {
    "PAYMENT_RETRY_BACKOFF_S": "0.2",
    "SCHEDULER_RETRY_INTERVAL_S": "0.3",
    "SCHEDULER_EXPIRY_INTERVAL_S": "1",
    "KAFKA_SESSION_TIMEOUT_MS": "3000",
    "LOGIN_LIMIT_PER_ADDRESS": "10000/minute",
    "REGISTER_LIMIT_PER_ADDRESS": "10000/minute",
    "CHECKOUT_LIMIT_PER_USER": "100000/minute",
    "MAX_OPEN_ORDERS_PER_USER": "100000",
}
"""Settings of a stack for tests: shorter retry and polling intervals, and no rate limits in the way."""


@dataclass(frozen=True)
class Part:
    """One program as `fc status` shows it: `since` in seconds since 1970, 0 when it does not run."""

    name: str
    state: str
    pid: int
    since: float
    port: int

    @classmethod
    def of(cls, name: str, state: State | None, port: int) -> Self:
        """Make the part from the supervisor's state. Returns None if there is no supervisor."""
        if state is None:
            return cls(name, "stopped", 0, 0, port)
        return cls(name, state.detail.lower(), state.pid, state.since if state.pid else 0, port)


class Stack:
    """One stack in its folder. Every call may be repeated at any time: a program that runs is left running."""

    def __init__(
        self,
        layout: Layout,
        overrides: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        reach: Mapping[str, int] | None = None,
        *,
        console: bool = False,
    ) -> None:
        self.layout = layout
        self.programs = Programs(layout, overrides, settings, reach, console=console)
        self.supervisor = Supervisor(layout)

    @classmethod
    def for_tests(
        cls,
        home: Path,
        overrides: Mapping[str, str] | None = None,
        between: Callable[[Layout], Mapping[str, int]] | None = None,
        *,
        brokers: int = 1,
        console: bool = False,
    ) -> Self:
        """Make a stack on free ports with the settings HASTY; `between` puts proxies in front of parts, see Programs.

        It ignores the developer's settings: a `.env` with the address of the real Xendit must not affect tests.
        """
        layout = Layout(home, ports.free_offset())
        choose(layout, brokers)
        reach = between(layout) if between else None
        return cls(layout, {**HASTY, **(overrides or {})}, settings={}, reach=reach, console=console)

    @property
    def home(self) -> Path:
        return self.layout.home

    def urls(self) -> dict[str, str]:
        return self.layout.urls()

    def accounts(self) -> Accounts:
        """Return the accounts of a seeded stack, with the administrator of its settings."""
        return accounts_with(self.programs.environment("userfc"))

    def up(self, report: Report = silent, *, observed: bool = False, traced: bool = False) -> bool:
        """Start every program that does not run and wait for all four services. Returns False when all ran already.

        A stack that is once `observed`, or `traced` by its console, is so until it is stopped; one that runs is started
        again for it. Raises StackError with the reason and the log that explains it.
        """
        with locked(self.home):
            if observed:
                observe.want(self.layout)
            if traced:
                observe.trace(self.layout)
            if asyncio.run(self._complete()) and not (traced and self.outdated()):
                return False
            asyncio.run(self._up(report))
            return True

    def outdated(self) -> bool:
        """Whether settings have changed since the stack was started; `down` and `up` apply them."""
        return self.supervisor.running and self.supervisor.outdated(self.programs.all())

    async def _up(self, report: Report) -> None:
        start = self._startup(report)
        if self.outdated():
            # A program that fails with the settings of its start may run with those of now.
            self._stop()
        if not self.supervisor.running:
            # Two servers on one data folder would destroy it: end what a killed supervisor has left.
            processes.end(processes.of_stack(self.home))
            ports.refuse_taken(self.layout, self.programs.ports())
            await start.prepare()
            self.supervisor.launch(self.programs.all(), self.programs.base_environment())
        await start.run()

    def _startup(self, report: Report = silent) -> Startup:
        return Startup(self.layout, self.programs, self.supervisor, report)

    async def ready(self, name: str) -> None:
        """Wait until a service answers /ready with 200. Raises StackError after 90 s."""
        start = self._startup()
        await start.wait_until(name, lambda: start.service_ready(name))

    async def _complete(self) -> bool:
        """Whether every program runs and every service is ready."""
        states = {state.name: state.detail for state in self.supervisor.states()} if self.supervisor.running else {}
        if any(states.get(name) != "RUNNING" for name in self.programs.names()):
            return False
        start = self._startup()
        return all(await asyncio.gather(*(start.service_ready(name) for name in self.programs.deployed)))

    def status(self) -> list[Part]:
        """List the programs; those that outlive a killed supervisor are `unsupervised`."""
        if self.supervisor.running:
            states = {state.name: state for state in self.supervisor.states()}
        else:
            left = processes.by_program(processes.of_stack(self.home))
            states = {name: State(name, one.pid, one.create_time(), "UNSUPERVISED") for name, one in left.items()}
        return [Part.of(name, states.get(name), self.layout.port(name)) for name in self.programs.names()]

    def kafka(self) -> ServiceSettings:
        """Return settings with which the topics are reached. Raises StackError while no broker answers."""
        if not any(asyncio.run(broker.ready()) for broker in self.programs.brokers):
            raise StackError("the broker does not answer: is the stack up?")
        return startup.connection_settings(self.programs, "orderfc")

    def make_topics(self) -> list[str]:
        """Create the topics that are missing and return their names. Raises StackError without a broker."""
        self.kafka()
        return asyncio.run(startup.make_topics(self.programs))

    def down(self) -> bool:
        """Stop the services, then the servers, and leave no process behind. Returns False when nothing ran."""
        with locked(self.home):
            stopped = self._stop()
            observe.forget(self.layout)
            return stopped

    def _stop(self) -> bool:
        running = self.supervisor.running
        if running:
            self.supervisor.stop_all(self.programs.deployed, STOP_SERVICES_S)
            servers = [SIMULATOR, *(each.name for each in (*self.programs.servers, *self.programs.observers))]
            self.supervisor.stop_all(servers, STOP_SERVERS_S)
            self.supervisor.shutdown()
        left = processes.end(processes.of_stack(self.home))
        self.supervisor.tidy()
        return running or left > 0

    def wipe(self) -> None:
        """Remove data, logs and generated files, and nothing else. Raises StackError unless the stack is down."""
        with locked(self.home):
            if self.supervisor.running:
                raise StackError("the stack is running: stop it first")
            for path in self._made():
                _remove(path)
            for name in ("data", "logs", "run"):
                # What else is in it is the user's.
                with suppress(OSError):
                    (self.home / name).rmdir()

    def _made(self) -> Iterator[Path]:
        """Yield the files and folders that a stack makes: its folder may be one that was there before."""
        names = [*(server.name for server in self.programs.servers), SIMULATOR, *DEPLOYED, *observe.NAMES]
        yield from (self.home / "data" / name for name in names)
        yield from (brokers_folder(self.layout), self.programs.clock.path)
        for name in (*names, "supervisord"):
            log = self.layout.log(name)
            yield from log.parent.glob(f"{log.name}*")
        yield from (self.home / "run" / name for name in ("supervisord.conf", "supervisord.pid", "supervisor.sock"))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path.resolve(), ignore_errors=True)
    if not path.is_dir():
        with suppress(OSError):
            path.unlink(missing_ok=True)
    if path.exists():
        raise StackError(f"{path} can't be removed by this user")

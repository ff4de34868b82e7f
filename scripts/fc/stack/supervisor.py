"""supervisord, which runs a stack's programs: its start and its XML-RPC interface."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from fc.stack.configuration import Program, configuration
from fc.stack.errors import StackError
from fc.stack.layout import Layout
from fc.stack.processes import MARK

START_S = 10
ALREADY_STARTED, NOT_RUNNING = 60, 70
ENDED = frozenset({"STOPPED", "EXITED", "FATAL"})


@dataclass(frozen=True)
class State:
    """The state of a program: `pid` is 0 unless it runs, `since` in seconds since 1970, `detail` such as RUNNING."""

    name: str
    pid: int
    since: float
    detail: str


class Supervisor:
    """One supervisord per stack. A program that ends unexpectedly is started again, one second later each time."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._run = layout.home / "run"
        self._configured = self._run / "supervisord.conf"

    @property
    def running(self) -> bool:
        """Whether supervisord answers. Raises StackError when it is another user's."""
        try:
            self._call("getState")
        except PermissionError:
            raise StackError(f"the stack in {self._layout.home} is another user's, who alone may use it") from None
        except (OSError, HTTPException, Fault):
            # While it shuts down it answers with a fault.
            return False
        return True

    def outdated(self, programs: Iterable[Program]) -> bool:
        """Whether the configuration of these programs differs from the one that supervisord was launched with."""
        return self._configured.read_text(encoding="utf-8") != configuration(self._layout, programs)

    def launch(self, programs: Iterable[Program], environment: Mapping[str, str]) -> None:
        """Write the configuration and start supervisord in the background; it starts no program by itself.

        Raises StackError when it does not answer within ten seconds.
        """
        self._run.mkdir(parents=True, exist_ok=True)
        (self._layout.home / "logs").mkdir(exist_ok=True)
        self.tidy()
        text = configuration(self._layout, programs)
        self._configured.unlink(missing_ok=True)
        with open(self._configured, "w", encoding="utf-8", opener=_private) as file:
            file.write(text)
        try:
            result = subprocess.run(
                [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._configured)],
                env={**environment, MARK: str(self._layout.home)},
                cwd="/",
                capture_output=True,
                text=True,
                timeout=START_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise StackError(f"supervisord did not start within {START_S} s") from None
        deadline = time.monotonic() + START_S
        while not self.running:
            if result.returncode or time.monotonic() > deadline:
                raise StackError(f"supervisord did not start:\n{(result.stdout + result.stderr)[-2000:]}")
            time.sleep(0.02)

    def start(self, name: str) -> None:
        """Start a program unless it runs, without waiting for it."""
        try:
            self._call("startProcess", name, False)
        except Fault as fault:
            if fault.faultCode != ALREADY_STARTED:
                raise StackError(f"{name} can't be started: {fault.faultString}") from None

    def stop(self, name: str) -> None:
        """Stop a program and wait until it has ended; it is not started again."""
        with suppress(Fault):
            self._call("stopProcess", name, True)

    def stop_all(self, names: Iterable[str], timeout_s: float) -> None:
        """Stop programs side by side and wait until all have ended, at most `timeout_s`."""
        programs = set(names)
        for name in programs:
            with suppress(Fault):
                self._call("stopProcess", name, False)
        deadline = time.monotonic() + timeout_s
        while any(state.detail not in ENDED for state in self.states() if state.name in programs):
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)

    def states(self) -> list[State]:
        programs: list[dict[str, Any]] = self._call("getAllProcessInfo")
        return [State(item["name"], item["pid"], item["start"], item["statename"]) for item in programs]

    def state(self, name: str) -> State:
        """Return the state of one program. Raises StopIteration for an unknown one."""
        return next(state for state in self.states() if state.name == name)

    def shutdown(self) -> None:
        """End supervisord, which ends the programs that still run, and wait for it."""
        with suppress(OSError, HTTPException, Fault):
            pid = int(self._call("getPID"))
            self._call("shutdown")
            deadline = time.monotonic() + START_S
            while _alive(pid) and time.monotonic() < deadline:
                time.sleep(0.02)

    def tidy(self) -> None:
        """Remove the socket and the pid file of a supervisord that was killed."""
        self._layout.socket.unlink(missing_ok=True)
        (self._run / "supervisord.pid").unlink(missing_ok=True)

    def _call(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._layout.socket}")
        try:
            with ServerProxy("http://localhost", transport=transport) as server:
                return getattr(server.supervisor, method)(*arguments)
        finally:
            transport.close()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _private(path: str, flags: int) -> int:
    """Open a file that only its owner may read: it holds passwords."""
    return os.open(path, flags, 0o600)

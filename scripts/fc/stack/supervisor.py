"""supervisord as the keeper of a stack's programs: its configuration, its start, and its XML-RPC interface."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from fc.stack.errors import StackError
from fc.stack.layout import Layout
from fc.stack.processes import MARK

START_S = 10
ALREADY_STARTED, NOT_RUNNING = 60, 70
ENDED = frozenset({"STOPPED", "EXITED", "FATAL"})
# supervisord's format has no escapes: a line ends, and a comment begins, wherever one can.
_UNFIT = re.compile(r"[\n\r]|\s[;#]")


@dataclass(frozen=True)
class Program:
    """What supervisord runs: `stop_wait_s` is how long it may take to end before it is killed."""

    name: str
    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    stop_wait_s: int = 25


@dataclass(frozen=True)
class State:
    """How a program is: `name` as supervisord calls it, `pid` 0 when it does not run, `since` in seconds since 1970."""

    name: str
    pid: int
    since: float
    detail: str


class Supervisor:
    """One supervisord per stack. What ends unexpectedly is started again, one second later each time."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._run = layout.home / "run"
        self._configured = self._run / "supervisord.conf"

    @property
    def running(self) -> bool:
        """Tell whether the supervisor answers."""
        try:
            self._call("getState")
        except (OSError, HTTPException, Fault):
            # It answers with a fault while it shuts down.
            return False
        return True

    def outdated(self, programs: Iterable[Program]) -> bool:
        """Tell whether the programs would be configured otherwise now than when the supervisor was launched."""
        return self._configured.read_text(encoding="utf-8") != configuration(self._layout, programs)

    def launch(self, programs: Iterable[Program], environment: Mapping[str, str]) -> None:
        """Write the configuration and start supervisord in the background; programs wait to be started.

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
            done = subprocess.run(
                [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._configured)],
                env={**environment, MARK: str(self._layout.home)},
                cwd="/", capture_output=True, text=True, timeout=START_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise StackError(f"supervisord did not start within {START_S} s") from None
        deadline = time.monotonic() + START_S
        while not self.running:
            if done.returncode or time.monotonic() > deadline:
                raise StackError(f"supervisord did not start:\n{(done.stdout + done.stderr)[-2000:]}")
            time.sleep(0.02)

    def start(self, name: str) -> None:
        """Start a program without waiting for it; nothing happens when it runs already."""
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
        """Stop programs side by side and wait until all have ended."""
        wanted = set(names)
        for name in wanted:
            with suppress(Fault):
                self._call("stopProcess", name, False)
        deadline = time.monotonic() + timeout_s
        while any(state.detail not in ENDED for state in self.states() if state.name in wanted):
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)

    def states(self) -> list[State]:
        """Give the state of every program."""
        found: list[dict[str, Any]] = self._call("getAllProcessInfo")
        return [State(item["name"], item["pid"], item["start"], item["statename"]) for item in found]

    def state(self, name: str) -> State:
        """Give the state of one program. Raises StopIteration for an unknown one."""
        return next(state for state in self.states() if state.name == name)

    def shutdown(self) -> None:
        """End supervisord, which ends what still runs, and wait for it."""
        with suppress(OSError, HTTPException, Fault):
            pid = int(self._call("getPID"))
            self._call("shutdown")
            deadline = time.monotonic() + START_S
            while _alive(pid) and time.monotonic() < deadline:
                time.sleep(0.02)

    def tidy(self) -> None:
        """Remove what a supervisord that was killed has left: its socket and the file with its pid."""
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


def configuration(layout: Layout, programs: Iterable[Program]) -> str:
    """Write supervisord's configuration. Raises StackError for what its format can't hold."""
    run = layout.home / "run"
    lines = [
        "[supervisord]",
        f"logfile={_escaped(str(layout.log('supervisord')))}",
        f"pidfile={_escaped(str(run / 'supervisord.pid'))}",
        f"childlogdir={_escaped(str(layout.home / 'logs'))}",
        "directory=/",
        *(["user=root"] if os.geteuid() == 0 else []),
        "[unix_http_server]",
        f"file={_escaped(str(layout.socket))}",
        "chmod=0600",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for program in programs:
        lines += _section(program, layout.log(program.name))
    return "\n".join([*lines, ""])


def _section(program: Program, log: Path) -> list[str]:
    environment = ",".join(f'{name}="{_value(name, text)}"' for name, text in sorted(program.environment.items()))
    return [
        f"[program:{program.name}]",
        f"command={_escaped(shlex.join(program.command))}",
        f"environment={environment}",
        "autostart=false",
        "autorestart=true",
        "startsecs=1",
        "startretries=1000000",
        f"stopsignal={program.stop_signal.name.removeprefix('SIG')}",
        f"stopwaitsecs={program.stop_wait_s}",
        "killasgroup=true",
        "redirect_stderr=true",
        # supervisord expands this one twice.
        f"stdout_logfile={_escaped(_escaped(str(log)))}",
        "stdout_logfile_maxbytes=20MB",
        "stdout_logfile_backups=1",
    ]


def _escaped(text: str) -> str:
    """Write a path or a command for supervisord. Raises StackError for what it can't hold."""
    if _UNFIT.search(text):
        raise StackError(f"the local stack takes no line breaks, ' ;' or ' #' in a path: {text!r}")
    return text.replace("%", "%%")


def _value(name: str, text: str) -> str:
    """Write a setting for supervisord. Raises StackError, which does not show the value, for what it can't hold."""
    if _UNFIT.search(text) or '"' in text or "'" in text:
        raise StackError(
            f"{name} can't be passed on: the local stack takes no quotes, line breaks, ' ;' or ' #' in a value"
        )
    return text.replace("%", "%%")

"""The processes that the bench starts itself; each carries the mark of its stack, so that none outlives that."""

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.speed.errors import Unmeasured
from fc.stack.processes import MARK

STOP_S = 30
TIMEOUT_S = 15
TAIL = 1500


class Processes:
    """Child processes by name, each with a log in the stack's folder."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self._home = home
        self._environment = environment
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a process; its output goes to a file, which begins anew."""
        with self.log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                command,
                env={**self._environment, **environment, MARK: str(self._home)},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C is for the bench, which then stops them in order.
                start_new_session=True,
            )

    def log(self, name: str) -> Path:
        return self._home / f"{name}.log"

    def alive(self, name: str) -> bool:
        """Whether it runs. Raises Unmeasured with the end of its log when it has ended by itself."""
        if (status := self._running[name].poll()) is None:
            return True
        end = self.log(name).read_text(encoding="utf-8", errors="replace")[-TAIL:]
        raise Unmeasured(f"{name} ended with {status}:\n{end}")

    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self._running.items() if process.poll() is None}

    def stop(self, name: str, number: int) -> None:
        """Send a signal and wait for the end. Raises Unmeasured after 30 s; then the process is killed."""
        process = self._running.pop(name, None)
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Unmeasured(f"{name} did not stop within {STOP_S} s") from None

    def stop_all(self) -> None:
        """Terminate all, and kill those that remain."""
        for process in self._running.values():
            process.terminate()
        deadline = time.monotonic() + STOP_S
        for process in self._running.values():
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()


def wait_until(holds: Callable[[], object], what: str, limit_s: float, *, poll_s: float = 0.1) -> None:
    """Poll until `holds` returns something truthy. Raises Unmeasured, which says `what`, after the limit."""
    deadline = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > deadline:
            raise Unmeasured(f"{what} after {limit_s:g} s")
        time.sleep(poll_s)


def opened(request: urllib.request.Request | str) -> bytes:
    """Return the body of an answer of this machine. Raises Unmeasured unless it is 2xx."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=TIMEOUT_S) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        raise Unmeasured(f"{error.url} was answered with {error.code}: {error.read()[:300]!r}") from None
    except OSError as error:
        raise Unmeasured(f"{request if isinstance(request, str) else request.full_url}: {error}") from None


def answers_200(url: str) -> bool:
    """Whether a GET of an address on this machine is answered with 2xx."""
    try:
        opened(url)
    except Unmeasured:
        return False
    return True

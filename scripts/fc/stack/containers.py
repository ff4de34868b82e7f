"""The containers of one compose project: what they are called, what they do now, and the end of a log."""

import json
import re
import subprocess
from dataclasses import dataclass, replace
from typing import Any, Self

from fc.stack.errors import StackError
from fc.stack.layout import ROOT

TIMEOUT_S = 60
# Columns without a tab in them: service, id, state, status, ports.
COLUMNS = '{{.Label "com.docker.compose.service"}}\t{{.ID}}\t{{.State}}\t{{.Status}}\t{{.Ports}}'
WAITING, STARTING, HEALTHY, DONE, FAILED = "waiting", "starting", "healthy", "done", "failed"
SETTLED = frozenset({HEALTHY, DONE})
_EXIT_CODE = re.compile(r"Exited \((\d+)\)")
_PUBLISHED = re.compile(r":(\d+)->")


@dataclass(frozen=True)
class Container:
    """One container as `docker ps` shows it: `status` is the engine's own text, such as `Up 3 seconds (healthy)`."""

    name: str
    id: str
    state: str
    status: str = ""
    ports: tuple[int, ...] = ()

    def is_as(self, other: "Container | None") -> bool:
        """Whether this is the same container in the same state; the status counts the time, so it does not matter."""
        return other is not None and (self.id, self.state) == (other.id, other.state)

    @classmethod
    def read(cls, line: str) -> Self:
        """Read a line of COLUMNS."""
        name, identity, state, status, ports = line.split("\t")
        published = sorted({int(port) for port in _PUBLISHED.findall(ports)})
        return cls(name, identity, state_of(state, status), status, tuple(published))


def state_of(state: str, status: str) -> str:
    """Say in one word what a container does, from the engine's state (`running`) and status (`Up 2 hours (healthy)`).

    A container without a health check is healthy while it runs.
    """
    if state == "running":
        if "(health: starting)" in status:
            return STARTING
        return "unhealthy" if "(unhealthy)" in status else HEALTHY
    if state == "exited":
        code = _EXIT_CODE.search(status)
        return DONE if code and code[1] == "0" else FAILED
    return WAITING if state in ("created", "removing") else state


@dataclass(frozen=True)
class Project:
    """A compose project: its name, and the names of its services and of its jobs, which run once and end."""

    name: str
    services: frozenset[str]
    jobs: frozenset[str]

    @classmethod
    def here(cls) -> Self:
        """Read the checkout's file as compose does. Raises StackError when compose refuses it."""
        found: dict[str, Any] = json.loads(asked("compose", "config", "--format", "json"))
        jobs = {name for name, service in found["services"].items() if service.get("restart") == "no"}
        return cls(found["name"], frozenset(found["services"]) - jobs, frozenset(jobs))

    def containers(self) -> dict[str, Container]:
        """Return the containers that exist, by the name of their service. A job that runs is starting."""
        labels = (f"com.docker.compose.project={self.name}", "com.docker.compose.oneoff=False")
        filters = [word for label in labels for word in ("--filter", f"label={label}")]
        lines = asked("ps", "--all", "--no-trunc", *filters, "--format", COLUMNS).splitlines()
        found = map(Container.read, lines)
        return {one.name: replace(one, state=STARTING) if self._runs(one) else one for one in found}

    def _runs(self, one: Container) -> bool:
        return one.name in self.jobs and one.state == HEALTHY


def log_end(container: str, lines: int = 25) -> str:
    """Return the last lines of a container's log, of its output and of its errors."""
    return asked("logs", "--tail", str(lines), container, errors=True).rstrip()


def asked(*arguments: str, errors: bool = False) -> str:
    """Return what a docker command prints, with `errors` its standard error too.

    Raises StackError with the last line of its errors when it fails or hangs.
    """
    try:
        result = subprocess.run(
            ["docker", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if errors else subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"{named(arguments)} did not answer within {TIMEOUT_S} s") from None
    if result.returncode:
        said = ((result.stderr or result.stdout).strip().splitlines() or [""])[-1]
        raise StackError(f"{named(arguments)} failed (exit code {result.returncode}) {said}".rstrip())
    return result.stdout


def named(arguments: tuple[str, ...]) -> str:
    """Return the words of a docker command that say what it does."""
    return " ".join(["docker", *arguments[: 2 if arguments[0] == "compose" else 1]])

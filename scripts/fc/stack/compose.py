"""The platform in containers, by `docker compose`, on machines where a Docker engine answers."""

import os
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Collection, Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chassis.config.settings import ServiceSettings, load
from fc.stack.accounts import ADMIN, Accounts, accounts_with
from fc.stack.brokers import COUNTS, NAMES
from fc.stack.containers import DONE, HEALTHY, SETTLED, STARTING, WAITING, Container, Project, log_end
from fc.stack.errors import StackError
from fc.stack.layout import CONSOLE, ROOT, Layout
from fc.stack.programs import developer_settings, refuse_bind_address, settings_class
from fc.stack.progress import POLL_S, Progress

ENGINE_S = 5
UP_S = 900
OBSERVE = "observe"
"""The profile of the parts that show what the platform does."""
OBSERVED = {
    "jaeger": "http://localhost:16686",
    "grafana": "http://localhost:3000",
    "prometheus": "http://localhost:9090",
}
BROKERS_FILE = "deploy/compose.brokers.yml"
TAIL_LINES = 25


def engine() -> str | None:
    """Return the version of the Docker engine that answers; None without an engine, or with FC_NATIVE=1."""
    if os.environ.get("FC_NATIVE") == "1" or not shutil.which("docker"):
        return None
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=ENGINE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None if result.returncode == 0 else None


def brokers(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the brokers that `docker compose` starts with these settings."""
    return NAMES if BROKERS_FILE in settings.get("COMPOSE_FILE", "") else NAMES[:1]


def _refuse_other_brokers(count: int) -> None:
    """Raise StackError when compose would start another number of brokers: its own commands have to agree with `fc`."""
    if count not in COUNTS:
        raise StackError(f"--brokers takes {COUNTS[0]} or {COUNTS[1]}, got {count}")
    if len(brokers(developer_settings())) != count:
        line = f"COMPOSE_FILE=docker-compose.yml:{BROKERS_FILE}"
        raise StackError(
            f"with Docker the number of brokers is said in .env, for `docker compose` too: three by the line {line}, "
            "one without it"
        )


def _add_profiles(*names: str) -> None:
    """Have the commands of compose from now on include these profiles, beside those that the user has chosen."""
    chosen = developer_settings().get("COMPOSE_PROFILES", "")
    os.environ["COMPOSE_PROFILES"] = ",".join(dict.fromkeys(filter(None, (*chosen.split(","), *names))))


class Compose:
    """`docker compose` in the checkout: the ports are fixed, and compose reads the `.env`."""

    def __init__(self, console: Console, count: int | None = None) -> None:
        self._console = console
        self._layout = Layout(ROOT)
        self._observed = False
        if os.environ.get("FC_PORT_OFFSET", "0") not in ("", "0"):
            raise StackError("FC_PORT_OFFSET works with the local stack only: set FC_NATIVE=1 too")
        if count is not None:
            _refuse_other_brokers(count)

    def urls(self) -> dict[str, str]:
        return self._layout.urls()

    def accounts(self) -> Accounts:
        """Return the accounts of a seeded platform, with the administrator of the `.env`."""
        return accounts_with({**ADMIN, **developer_settings()})

    def observed(self) -> dict[str, str]:
        return {CONSOLE: self._layout.url(CONSOLE)} | (OBSERVED if self._observed else {})

    def up(self, *, observed: bool = False, traced: bool = False) -> bool:  # noqa: ARG002 - it has Jaeger
        """Build and start all containers, with a line for each that is healthy. Returns False when all ran already.

        Services that are `observed` send their spans to the collector, else to Jaeger. Raises StackError with the end
        of the log of a container that failed.
        """
        refuse_bind_address(developer_settings())
        self._observed = observed
        if observed:
            _add_profiles(OBSERVE)
            os.environ["OTLP_HOST"] = developer_settings().get("OTLP_HOST", "collector")
        project = Project.here()
        before = project.containers()
        said = self._start(project, before)
        after = project.containers()
        if said is not None:
            raise StackError(_failure(project, after, said))
        if not all(one.is_as(before.get(name)) for name, one in after.items() if name in project.services):
            return True
        self._console.print("The stack is already running, all four services are ready.")
        return False

    def _start(self, project: Project, before: dict[str, Container]) -> str | None:
        """Run compose to its end and show what becomes of the containers. Returns what it said when it has failed."""
        command = ["docker", "compose", "up", "--build", "--detach", "--wait", "--wait-timeout", str(UP_S)]
        said: deque[str] = deque(maxlen=TAIL_LINES)
        with (
            subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
            ) as process,
            Progress(self._console, project, before) as progress,
        ):
            reader = threading.Thread(target=_read, args=(process, said, progress), daemon=True)
            reader.start()
            while reader.is_alive():
                reader.join(POLL_S)
                progress.show(project.containers())
            failed = process.wait()
        return "\n".join([*said, f"docker compose up failed (exit code {failed})"]) if failed else None

    def down(self, *, wipe: bool) -> None:
        """Stop and remove the containers; `wipe` removes the volumes too."""
        # Containers of a profile that is not named would stay.
        _add_profiles(OBSERVE, "tools")
        self.run("down", *(["--volumes"] if wipe else []))

    def status(self) -> bool:
        """List the containers. Returns whether all of them are healthy, but for the jobs, which have ended."""
        project = Project.here()
        found = project.containers()
        table = Table("part", "state", "since", "port", box=None, header_style="dim", padding=(0, 2, 0, 0))
        for name in sorted(project.services | project.jobs | set(found)):
            one = found.get(name, Container(name, "", "stopped"))
            colour = "green" if one.state in SETTLED else "red"
            ports = ", ".join(map(str, one.ports))
            table.add_row(name, f"[{colour}]{one.state}[/]", escape(one.status), ports)
        self._console.print(table)
        return all(name in found and found[name].state == HEALTHY for name in project.services)

    def logs(self, names: Collection[str], *, lines: int, follow: bool) -> None:
        """Show the end of the containers' logs, of all of them without names."""
        self.run("logs", "--tail", str(lines), *(["--follow"] if follow else []), *names)

    def kafka(self) -> ServiceSettings:
        """Return settings with which the topics are reached at the ports that compose publishes."""
        given = developer_settings()
        names = brokers(given)
        topics = {name.lower(): given[name] for name in ("KAFKA_PARTITIONS", "KAFKA_REPLICATION") if name in given}
        if len(names) > 1:
            topics["kafka_replication"] = str(len(names))
        addresses = ",".join(f"localhost:{self._layout.port(name)}" for name in names)
        try:
            return load(
                settings_class("orderfc"),
                environment="development",
                kafka_broker=addresses,
                **topics,
            )
        except SystemExit as refused:
            raise StackError(str(refused)) from None

    def run(self, *arguments: str) -> None:
        """Run a compose command with its own output. Raises StackError when it fails."""
        result = subprocess.run(["docker", "compose", *arguments], cwd=ROOT, check=False)
        if result.returncode:
            raise StackError(f"docker compose {arguments[0]} failed (exit code {result.returncode})")


def _read(process: "subprocess.Popen[str]", said: deque[str], progress: Progress) -> None:
    """Keep the last lines of a command, and show them while there is no container to show."""
    assert process.stdout
    for line in process.stdout:
        if text := line.rstrip():
            said.append(text)
            progress.said(text)


def _failure(project: Project, found: dict[str, Container], said: str) -> str:
    """Say what is wrong: the containers that have failed, with their logs, and what compose said."""
    wrong = [one for one in found.values() if one.state not in (HEALTHY, STARTING, WAITING) and not _done(project, one)]
    lines = [line for one in wrong for line in (f"{one.name}: {one.status}. The end of its log:", log_end(one.id))]
    return "\n".join([*lines, said])


def _done(project: Project, one: Container) -> bool:
    return one.state == DONE and one.name in project.jobs

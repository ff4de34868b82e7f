"""The platform in containers, by `docker compose`, on machines where a Docker engine answers."""

import os
import shutil
import subprocess
from collections.abc import Collection, Mapping

from fc.stack.accounts import ADMIN, Accounts, accounts_with
from fc.stack.brokers import COUNTS, NAMES
from fc.stack.errors import StackError
from fc.stack.layout import ROOT, Layout
from fc.stack.programs import developer_settings

ENGINE_S = 5
UP_S = 900
JOBS = ("-migrate", "-topics")
BROKERS_FILE = "deploy/compose.brokers.yml"
TOPIC_JOBS = ("productfc-topics", "orderfc-topics", "paymentfc-topics")


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


class Compose:
    """`docker compose` in the checkout: the ports are fixed, and compose reads the `.env` and prints its own output."""

    def __init__(self, count: int | None = None) -> None:
        self._layout = Layout(ROOT)
        if os.environ.get("FC_PORT_OFFSET", "0") not in ("", "0"):
            raise StackError("FC_PORT_OFFSET works with the local stack only: set FC_NATIVE=1 too")
        if count is not None:
            _refuse_other_brokers(count)

    def urls(self) -> dict[str, str]:
        return self._layout.urls()

    def accounts(self) -> Accounts:
        """Return the accounts of a seeded platform, with the administrator of the `.env`."""
        return accounts_with({**ADMIN, **developer_settings()})

    def up(self) -> bool:
        """Build and start all containers and wait until they are healthy. Raises StackError."""
        self.run("up", "--build", "--detach", "--wait", "--wait-timeout", str(UP_S))
        return True

    def down(self, *, wipe: bool) -> None:
        """Stop and remove the containers; `wipe` removes the volumes too."""
        self.run("down", *(["--volumes"] if wipe else []))

    def status(self) -> bool:
        """Show the containers. Returns False unless all of them run, but for the jobs that end. Raises StackError."""
        self.run("ps")
        expected = {name for name in self._ask("config", "--services") if not name.endswith(JOBS)}
        return expected <= self._ask("ps", "--services", "--status", "running")

    def _ask(self, *arguments: str) -> set[str]:
        result = subprocess.run(
            ["docker", "compose", *arguments], cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True
        )
        if result.returncode:
            raise StackError(f"docker compose {arguments[0]} failed (exit code {result.returncode})")
        return set(result.stdout.split())

    def logs(self, names: Collection[str], *, lines: int, follow: bool) -> None:
        """Show the end of the containers' logs, of all of them without names."""
        self.run("logs", "--tail", str(lines), *(["--follow"] if follow else []), *names)

    def make_topics(self) -> None:
        """Run the jobs that create topics. Raises StackError."""
        for name in TOPIC_JOBS:
            self.run("run", "--rm", name)

    def run(self, *arguments: str) -> None:
        """Run a compose command with its own output. Raises StackError when it fails."""
        result = subprocess.run(["docker", "compose", *arguments], cwd=ROOT, check=False)
        if result.returncode:
            raise StackError(f"docker compose {arguments[0]} failed (exit code {result.returncode})")

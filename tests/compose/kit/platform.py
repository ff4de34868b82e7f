"""The platform in containers, under a project name of its own that no other stack has."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from fc.stack.accounts import ADMIN, Accounts, accounts_with
from fc.stack.containers import Container, Project
from fc.stack.layout import ROOT, Layout

PROJECT = "go-commerce-test"
FILE = ROOT / "docker-compose.yml"
UP_S = 600
COMMAND_S = 180
# Any image of this project with Python and nothing to start.
SIMULATOR_IMAGE = "go-commerce/xendit-simulator:local"
_VARIABLE = re.compile(r"\$\{([A-Z_]+)")
_STEP = re.compile(r"^  ✓ (\S+) (?:healthy|done) ([\d.]+) s$", re.MULTILINE)


class Platform:
    """Starts, asks and kills the containers; `settings` are those of a `.env`, and no other setting reaches them."""

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.started: dict[str, float] = {}
        self.is_up = False
        self.urls = Layout(ROOT).urls()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every command: without the settings of the shell in which the tests run."""
        names = {*_VARIABLE.findall(FILE.read_text(encoding="utf-8")), "COMPOSE_FILE", "COMPOSE_PROFILES", "FC_NATIVE"}
        own = {name: value for name, value in os.environ.items() if name not in names}
        return {**own, **self.settings, "COMPOSE_PROJECT_NAME": PROJECT}

    def accounts(self) -> Accounts:
        return accounts_with({**ADMIN, **self.settings})

    def run(self, *command: str, timeout_s: float = COMMAND_S, ok: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end. Raises AssertionError with its output when it fails, unless `ok` is False."""
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        assert not ok or done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
        return done

    def fc(self, *arguments: str, timeout_s: float = COMMAND_S, ok: bool = True) -> "subprocess.CompletedProcess[str]":
        return self.run(sys.executable, "-m", "fc", *arguments, timeout_s=timeout_s, ok=ok)

    def compose(self, *arguments: str, ok: bool = True) -> "subprocess.CompletedProcess[str]":
        return self.run("docker", "compose", *arguments, timeout_s=UP_S, ok=ok)

    def running_with(self, settings: Mapping[str, str]) -> float:
        """Start everything unless it runs with these settings, on empty volumes unless it did. Returns the seconds."""
        if self.is_up and self.settings == settings:
            return 0
        if self.settings != settings:
            self.wipe()
            self.settings = dict(settings)
        return self.up()

    def up(self) -> float:
        """Start everything and return the seconds; `started` then has those of each container."""
        began = time.monotonic()
        said = self.fc("up", timeout_s=UP_S).stdout
        self.started = {name: float(seconds) for name, seconds in _STEP.findall(said)}
        self.is_up = True
        return time.monotonic() - began

    def replace(self, service: str, settings: Mapping[str, str]) -> None:
        """Start one service anew with further settings; the others stay as they are.

        With `--no-deps` compose would forget what the service depends on, and `fc up` would take it for another one.
        """
        usual = self.settings
        self.settings = {**usual, **settings}
        try:
            self.compose("up", "--detach", "--wait", service)
        finally:
            self.settings = usual

    def down(self) -> None:
        """Stop and remove the containers; their volumes stay."""
        self.is_up = False
        self.fc("down")

    def wipe(self) -> None:
        """Remove containers, networks and volumes."""
        self.is_up = False
        self.compose("down", "--volumes", "--remove-orphans")

    def containers(self) -> dict[str, Container]:
        """Return the containers that exist, by the name of their service."""
        return Project(PROJECT, frozenset(), frozenset()).containers()

    def inspected(self, name: str) -> dict[str, Any]:
        """Return all that the engine knows of a container or an image."""
        found: list[dict[str, Any]] = json.loads(self.run("docker", "inspect", name).stdout)
        return found[0]

    def process(self, name: str) -> int:
        """Return the id of a container's first process on the engine's machine; 0 while there is none."""
        return int(self.inspected(f"{PROJECT}-{name}-1")["State"]["Pid"])

    def kill(self, name: str) -> int:
        """End a container's first process by SIGKILL, and return its id.

        `docker kill` would not do: the engine does not start again what it was told to end.
        """
        number = self.process(name)
        code = "import os, sys; os.kill(int(sys.argv[1]), 9)"
        options = ["--rm", "--pid", "host", "--user", "0:0", "--network", "none", "--entrypoint", "python"]
        self.run("docker", "run", *options, SIMULATOR_IMAGE, "-c", code, str(number))
        return number

    def addresses(self, container: str) -> set[str]:
        """Return the addresses of this machine on which a container's ports are published."""
        ports: dict[str, list[dict[str, str]] | None] = self.inspected(container)["NetworkSettings"]["Ports"]
        return {each["HostIp"] for published in ports.values() for each in published or []}

    def audited(self) -> str:
        """Audit all stores once they are at rest, and say what was compared. Raises AssertionError for a violation."""
        said = self.fc("audit", "--json", "--quiesce", "90").stdout
        summary: dict[str, Any] = json.loads(said.splitlines()[-1])["summary"]
        assert (summary["exit_code"], summary["skipped"]) == (0, []), said
        return f"{summary['orders']} orders by {summary['rules']} rules: no violation"

    def refused(self, settings: Mapping[str, str], service: str) -> "subprocess.CompletedProcess[str]":
        """Start one service with these settings, alone, and return how it ended."""
        own = {**self.environment, **settings}
        command = ["docker", "compose", "run", "--rm", "--no-deps", "--no-TTY", service]
        return subprocess.run(
            command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=COMMAND_S, check=False
        )

    def memory(self) -> dict[str, float]:
        """Return the memory of each container in MiB."""
        ids = {one.id[:12]: name for name, one in self.containers().items()}
        lines = self.run("docker", "stats", "--no-stream", "--format", "{{.ID}} {{.MemUsage}}").stdout.splitlines()
        found = {line.split()[0][:12]: line.split()[1] for line in lines}
        return {ids[identity]: mebibytes(text) for identity, text in found.items() if identity in ids}


def mebibytes(text: str) -> float:
    """Read `45.3MiB` or `1.2GiB`. Raises ValueError for another unit."""
    number, unit = re.fullmatch(r"([\d.]+)([A-Za-z]+)", text).groups()  # type: ignore[union-attr]
    factors = {"B": 2**-20, "KiB": 2**-10, "MiB": 1.0, "GiB": 2.0**10}
    if unit not in factors:
        raise ValueError(f"{text}: unknown unit")
    return float(number) * factors[unit]

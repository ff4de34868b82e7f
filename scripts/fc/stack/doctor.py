"""`fc doctor`: the programs that the stack needs, as found on this machine, and what stands in for others."""

import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from fc.stack import compose
from fc.stack.errors import StackError
from fc.stack.layout import Layout
from fc.stack.programs import Programs
from servers.base import Missing

MIN_JAVA = 17
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Finding:
    """One line of the report: `ok` is None for a part that is not needed here."""

    part: str
    ok: bool | None
    found: str
    advice: str = ""


def _version(command: list[str], missing: str) -> str:
    if not shutil.which(command[0]):
        raise Missing(missing)
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{' '.join(command)} does not work: {error}") from None
    said = _COLOUR.sub("", result.stdout or result.stderr).strip().splitlines()
    # The options that Java takes from the environment come first, and may have a password of a proxy.
    lines = [line for line in said if not line.startswith("Picked up ")] or [command[0]]
    if result.returncode:
        raise Missing(f"{' '.join(command)} failed: {lines[0]}")
    return lines[0]


def _java() -> str:
    line = _version(["java", "-version"], f"not installed: install a JDK, version {MIN_JAVA} or newer")
    number = line.split('"')[1].split(".")[0] if '"' in line else ""
    if number.isdecimal() and int(number) < MIN_JAVA:
        raise Missing(f"{line} is too old: install a JDK, version {MIN_JAVA} or newer")
    if not shutil.which("javac"):
        raise Missing(f"{line} has no compiler: install a JDK, not only a runtime")
    return line


def _check(part: str, find: Callable[[], str], advice: str = "") -> Finding:
    try:
        return Finding(part, True, find(), advice)
    except Missing as missing:
        return Finding(part, False, str(missing), advice)


def _docker() -> Finding:
    version = compose.engine()
    if not version:
        return Finding("Docker", None, "no engine answers: native servers are used instead")
    return Finding("Docker", True, f"engine {version}: `make up` uses docker compose (FC_NATIVE=1: native servers)")


def _chromium() -> Finding:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path:
        return Finding("Chromium", True, path)
    return Finding(
        "Chromium", None, "not installed: only the tests of the pay page need it", "`make tools` installs it"
    )


def _nodes(count: int) -> str:
    if count == 1:
        return "one node in KRaft mode; production needs three, which `fc up --brokers 3` starts"
    return f"{count} nodes in KRaft mode, 250 MB of memory each"


def findings(layout: Layout) -> list[Finding]:
    """Look for everything that the stack needs."""
    programs = Programs(layout)
    servers = {server.name: server for server in programs.servers}
    return [
        _docker(),
        _check("Python", lambda: f"Python {platform.python_version()}"),
        _check("Java", _java),
        _check("Maven", lambda: _version(["mvn", "-v"], "not installed: install Maven")),
        _check("PostgreSQL", servers["postgres"].origin, "one cluster on one port stands in for four servers"),
        _check("Redis", servers["redis"].origin),
        _check("Kafka", servers["kafka"].origin, _nodes(len(programs.brokers))),
        _check("MongoDB", servers["mongo"].origin, "no authentication and no transactions"),
        Finding("Vault, Jaeger", None, "in docker compose only", "settings and spans are tested against stand-ins"),
        _chromium(),
    ]


def refuse_missing(layout: Layout) -> None:
    """Raise StackError that names every missing part."""
    missing = [f"  {item.part}: {item.found}" for item in findings(layout) if item.ok is False]
    if missing:
        raise StackError("\n".join(["This machine lacks what the local stack needs:", *missing]))

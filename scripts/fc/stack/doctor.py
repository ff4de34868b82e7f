"""`fc doctor`: what was found on this machine, what stands in for what, and what to install for the real thing."""

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
    """One line: `ok` None means that it is not needed here."""

    part: str
    ok: bool | None
    found: str
    advice: str = ""


def _version(command: list[str], missing: str) -> str:
    if not shutil.which(command[0]):
        raise Missing(missing)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{' '.join(command)} does not work: {error}") from None
    lines = _COLOUR.sub("", done.stdout or done.stderr).strip().splitlines() or [command[0]]
    if done.returncode:
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


def findings(layout: Layout) -> list[Finding]:
    """Look at everything that the stack needs."""
    servers = {server.name: server for server in Programs(layout).servers}
    version = compose.engine()
    docker = f"engine {version}: `make up` uses docker compose (FC_NATIVE=1: native servers)" if version else ""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    return [
        Finding("Docker", True if version else None, docker or "no engine answers: native servers are used instead"),
        _check("Python", lambda: f"Python {platform.python_version()}"),
        _check("Java", _java),
        _check("Maven", lambda: _version(["mvn", "-v"], "not installed: install Maven")),
        _check("PostgreSQL", servers["postgres"].found, "one cluster on one port stands in for four servers"),
        _check("Redis", servers["redis"].found),
        _check("Kafka", servers["kafka"].found, "one node in KRaft mode; production wants three"),
        _check("MongoDB", servers["mongo"].found, "the protocol, without authentication and transactions"),
        Finding("Vault, Jaeger", None, "in docker compose only", "settings and spans are tested against stand-ins"),
        Finding(
            "Chromium",
            True if chromium else None,
            chromium or "not installed: only the tests of the pay page need it",
            "" if chromium else "`make tools` installs it",
        ),
    ]


def refuse_missing(layout: Layout) -> None:
    """Raise StackError that names everything which is missing."""
    missing = [f"  {item.part}: {item.found}" for item in findings(layout) if item.ok is False]
    if missing:
        raise StackError("\n".join(["This machine lacks what the local stack needs:", *missing]))

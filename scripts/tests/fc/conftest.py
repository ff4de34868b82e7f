"""A shell of the test's own: no setting and no `.env` of the developer's reaches what is tested here."""

import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fc import __main__ as cli
from fc.stack import programs
from fc.stack.layout import DEPLOYED, Layout

Script = Callable[..., Path]
NAMES = {"CONFIG_FILE", "FC_HOME", "FC_NATIVE", "FC_PORT_OFFSET"}.union(
    *(programs.setting_names(service) for service in DEPLOYED)
)


def clean_environment() -> dict[str, str]:
    """Return the environment of this process without any setting of the platform."""
    return {name: value for name, value in os.environ.items() if name.upper() not in NAMES}


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder in place of the checkout whose `.env` is read, and no setting in the environment."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    folder = tmp_path / "checkout"
    folder.mkdir()
    monkeypatch.setattr(programs, "ROOT", folder)
    return folder


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A stack's folder that does not exist yet."""
    return Layout(tmp_path / "home", 1000)


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only folder in which programs are looked for; there is none in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def script(path: Path) -> Script:
    """Put a program on the path: `script("java", "echo hello")`."""

    def make(name: str, *lines: str, shebang: str = "#!/bin/sh") -> Path:
        file = path / name
        file.write_text("\n".join([shebang, *lines, ""]), encoding="utf-8")
        file.chmod(0o755)
        return file

    return make


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def fc(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], layout: Layout
) -> Iterator[Callable[[str], Ended]]:
    """Run a command line in this process on the native stack in the test's own folder: `fc("logs -n 5")`."""
    monkeypatch.setenv("FC_HOME", str(layout.home))
    monkeypatch.setenv("FC_PORT_OFFSET", str(layout.offset))
    monkeypatch.setenv("FC_NATIVE", "1")

    def run(line: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["fc", *shlex.split(line)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    yield run
    logging.disable(logging.NOTSET)


@pytest.fixture
def waiting() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python programs that are ended with the test: `waiting("input()", MARK="x")`; each prints a line first."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()

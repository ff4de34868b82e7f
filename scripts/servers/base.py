"""What every native server has: a home, a port, a command, and an answer that shows that it is ready."""

import os
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import LOCK_EX, flock
from pathlib import Path

from platformdirs import user_cache_path

HOST = "127.0.0.1"


class Missing(RuntimeError):
    """A program that the stack needs is not on this machine; the text says what to install."""


@dataclass
class Server(ABC):
    """One native server. `home` belongs to it alone; `prepare` may be called again and again."""

    home: Path
    port: int
    durable: bool = True
    environment: dict[str, str] = field(default_factory=dict)

    name = "server"
    stop_signal = signal.SIGTERM

    @abstractmethod
    def prepare(self) -> None:
        """Make data and configuration; leaves nothing half made. Raises Missing when a program is not there."""

    @abstractmethod
    def command(self) -> list[str]:
        """Give the command line that runs the server in the foreground."""

    @abstractmethod
    async def ready(self) -> bool:
        """Tell whether the server gives a real answer, not only an open port."""

    @abstractmethod
    def found(self) -> str:
        """Say which program is used and where it came from. Raises Missing."""


def cache() -> Path:
    """Give the folder of downloads that checkouts share."""
    folder = user_cache_path("go-commerce")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for one process, so that two checkouts do not download into it at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as handle:
        flock(handle, LOCK_EX)
        yield


def maven(name: str, artifacts: list[str]) -> Path:
    """Put artifacts (`group:artifact:version`) and what they need into a cached folder, by Maven, once.

    Raises Missing without Maven and Java, or when Maven fails.
    """
    target = cache() / name
    if (target / ".complete").exists():
        return target
    for program in ("mvn", "java", "javac"):
        if not shutil.which(program):
            raise Missing(f"{program} is not installed: install a JDK (17 or newer) and Maven")
    with locked(target):
        if (target / ".complete").exists():
            return target
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        (target / "pom.xml").write_text(_pom(artifacts), encoding="utf-8")
        done = subprocess.run(
            ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs"],
            cwd=target, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        if done.returncode:
            raise Missing(f"Maven could not fetch {name}:\n{(done.stdout + done.stderr)[-2000:]}")
        (target / ".complete").touch()
    return target


def _pom(artifacts: list[str]) -> str:
    dependencies = "".join(
        "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>".format(
            *artifact.split(":")
        )
        for artifact in artifacts
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>jars</artifactId>"
        f"<version>1</version><packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
    )


def is_root() -> bool:
    """Tell whether this process runs as root."""
    return os.geteuid() == 0

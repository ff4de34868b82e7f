"""The base of the native servers: a folder, a port, a command, a check that the server is ready."""

import os
import shutil
import signal
import ssl
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import ClassVar

from platformdirs import user_cache_path

HOST = "127.0.0.1"
# In a POSIX locale Java can't open a path with a letter outside ASCII.
JAVA_ENVIRONMENT = {"LC_ALL": "C.UTF-8"}


class Missing(RuntimeError):
    """A program that the stack needs is missing; the text says what to install."""


@dataclass(frozen=True)
class Tls:
    """The files of a server that takes connections with TLS only, in PEM format."""

    cert: str
    key: str
    ca: str

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca)


@dataclass
class Server(ABC):
    """One native server. `home` belongs to it alone; `prepare` may be repeated."""

    home: Path
    port: int
    durable: bool = True
    tls: Tls | None = None

    name = "server"
    stop_signal = signal.SIGTERM
    environment: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def prepare(self) -> None:
        """Make data and configuration, all of it or nothing. Raises Missing."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command line that runs the server in the foreground."""

    @abstractmethod
    async def ready(self) -> bool:
        """Whether the server answers a request; an open port is not enough."""

    @abstractmethod
    def origin(self) -> str:
        """Return the program and where it is installed. Raises Missing."""


def cache() -> Path:
    """Return the folder of downloads that checkouts share. Raises Missing for a user without a home."""
    try:
        folder = user_cache_path("go-commerce")
    except RuntimeError:
        raise Missing("this user has no home for downloads: set HOME or XDG_CACHE_HOME") from None
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder, so that two checkouts do not download into it at the same time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as handle:
        flock(handle, LOCK_EX)
        yield


def maven(name: str, artifacts: list[str]) -> Path:
    """Download artifacts (`group:artifact:version`) and their dependencies into a cached folder, once.

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
        command = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs"]
        result = subprocess.run(command, cwd=target, capture_output=True, text=True, timeout=600, check=False)
        if result.returncode:
            raise Missing(f"Maven could not fetch {name}:\n{(result.stdout + result.stderr)[-2000:]}")
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
    return os.geteuid() == 0

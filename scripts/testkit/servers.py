"""The servers of a test session; native ones are child processes that end with the session."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from testkit.ports import free_port_pair

if TYPE_CHECKING:
    from servers.base import Server, Tls

    S = TypeVar("S", bound=Server)

START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 20

T = TypeVar("T")

# It reads process ids until its standard input ends, which it does with the session, also when that is killed.
_REAPER = """
import os, signal, sys
for pid in [int(line) for line in sys.stdin]:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, even while a loop runs in this thread."""
    result: list[T] = []
    thread = threading.Thread(target=lambda: result.append(asyncio.run(work)))
    thread.start()
    thread.join()
    return result[0]


class Servers:
    """Starts each server on first use, once per session."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._running: list[tuple[Server, subprocess.Popen[bytes]]] = []
        self._containers: list[Any] = []
        self._reaper: subprocess.Popen[str] | None = None

    def native(self, kind: "type[S]", tls: "Tls | None" = None) -> "S":
        """Start one more server of this kind; with `tls` it takes connections with TLS only."""
        home = self._home / f"{kind.name}-{len(self._running)}"
        server = kind(home, free_port_pair(), durable=False, tls=tls)
        server.prepare()
        with home.with_suffix(".log").open("ab") as log:
            process = subprocess.Popen(
                server.command(), stdout=log, stderr=log, cwd="/", env={**os.environ, **server.environment}
            )
        self._running.append((server, process))
        self._end_with_session(process.pid)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _run(server.ready()):
            if process.poll() is not None or time.monotonic() > deadline:
                end = home.with_suffix(".log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{kind.name} did not start:\n{end}")
            time.sleep(0.05)
        return server

    def _end_with_session(self, pid: int) -> None:
        """Have a process killed when this one ends without having stopped it."""
        if self._reaper is None:
            command = [sys.executable, "-c", _REAPER]
            self._reaper = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
        assert self._reaper.stdin
        print(pid, file=self._reaper.stdin, flush=True)

    def _container(self, container: Any) -> Any:
        container.start()
        self._containers.append(container)
        return container

    def postgres(self) -> dict[str, Any]:
        """Return host, port, user and password of a superuser."""
        if dsn := os.environ.get("TEST_POSTGRES_DSN"):
            parts = urlsplit(dsn)
            return {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
        if _containers_wanted():
            from testkit import containers

            started = self._container(containers.postgres())
            return {**_address(started, 5432), "user": "admin", "password": containers.PASSWORD}
        from servers.postgres import Postgres

        server = self.native(Postgres)
        return {"host": "127.0.0.1", "port": server.port, "user": "admin", "password": server.superuser_password}

    def redis(self) -> dict[str, Any]:
        """Return the arguments of a settings class for Redis."""
        if address := os.environ.get("TEST_REDIS_URL"):
            parts = urlsplit(address)
            return {"redis_host": parts.hostname, "redis_port": parts.port, "redis_password": parts.password or ""}
        if _containers_wanted():
            from testkit import containers

            at = _address(self._container(containers.redis()), 6379)
            return {"redis_host": at["host"], "redis_port": at["port"], "redis_password": containers.PASSWORD}
        from servers.redis import PASSWORD, Redis

        return {"redis_host": "127.0.0.1", "redis_port": self.native(Redis).port, "redis_password": PASSWORD}

    def kafka(self) -> str:
        """Return `host:port` of a broker."""
        if address := os.environ.get("TEST_KAFKA_BROKER"):
            return address
        if _containers_wanted():
            from testkit import containers

            port = free_port_pair()
            return f"{self._container(containers.kafka(port)).get_container_host_ip()}:{port}"
        from servers.kafka import Kafka

        return f"127.0.0.1:{self.native(Kafka).port}"

    def mongo(self) -> str:
        """Return the URI of a server that speaks MongoDB's protocol."""
        if address := os.environ.get("TEST_MONGO_URI"):
            return address
        if _containers_wanted():
            from testkit import containers

            at = _address(self._container(containers.mongo()), containers.MONGO_PORT)
            return f"mongodb://{at['host']}:{at['port']}"
        from servers.mongo import Mongo

        return f"mongodb://127.0.0.1:{self.native(Mongo).port}"

    def stop(self) -> None:
        for server, process in reversed(self._running):
            process.send_signal(server.stop_signal)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._reaper is not None:
            self._reaper.kill()
            self._reaper.communicate()
        for container in reversed(self._containers):
            container.stop()


def _address(container: Any, port: int) -> dict[str, Any]:
    return {"host": container.get_container_host_ip(), "port": int(container.get_exposed_port(port))}


def _containers_wanted() -> bool:
    return os.environ.get("TEST_CONTAINERS") == "1"

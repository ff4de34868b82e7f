"""The servers of a test session; native ones are child processes that end with the session."""

import asyncio
import os
import socket
import subprocess
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from servers.base import Server

START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 20

T = TypeVar("T")


def _free_port_pair() -> int:
    """Return a port that is free together with the next one, on which Kafka's controller listens."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


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

    def _native(self, kind: "type[Server]") -> "Server":
        server = kind(self._home / kind.name, _free_port_pair(), durable=False)
        server.prepare()
        with (self._home / f"{kind.name}.log").open("ab") as log:
            process = subprocess.Popen(server.command(), stdout=log, stderr=log, cwd="/")
        self._running.append((server, process))
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _run(server.ready()):
            if process.poll() is not None or time.monotonic() > deadline:
                end = (self._home / f"{kind.name}.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{kind.name} did not start:\n{end}")
            time.sleep(0.05)
        return server

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
            from testcontainers.community.postgres import PostgresContainer

            container = self._container(PostgresContainer("postgres:18-alpine", username="admin", password="admin"))
            port = int(container.get_exposed_port(5432))
            return {"host": container.get_container_host_ip(), "port": port, "user": "admin", "password": "admin"}
        from servers.postgres import Postgres

        server = self._native(Postgres)
        password = (self._home / "postgres" / "superuser").read_text(encoding="utf-8").strip()
        return {"host": "127.0.0.1", "port": server.port, "user": "admin", "password": password}

    def redis(self) -> dict[str, Any]:
        """Return the arguments of a settings class for Redis."""
        if address := os.environ.get("TEST_REDIS_URL"):
            parts = urlsplit(address)
            return {"redis_host": parts.hostname, "redis_port": parts.port, "redis_password": parts.password or ""}
        if _containers_wanted():
            from testcontainers.community.redis import RedisContainer

            container = self._container(RedisContainer("redis:8-alpine", password="admin"))
            port = int(container.get_exposed_port(6379))
            return {"redis_host": container.get_container_host_ip(), "redis_port": port, "redis_password": "admin"}
        from servers.redis import PASSWORD, Redis

        return {"redis_host": "127.0.0.1", "redis_port": self._native(Redis).port, "redis_password": PASSWORD}

    def kafka(self) -> str:
        """Return `host:port` of a broker."""
        if address := os.environ.get("TEST_KAFKA_BROKER"):
            return address
        if _containers_wanted():
            from testcontainers.community.kafka import KafkaContainer

            return str(self._container(KafkaContainer()).get_bootstrap_server())
        from servers.kafka import Kafka

        return f"127.0.0.1:{self._native(Kafka).port}"

    def mongo(self) -> str:
        """Return the URI of a server that speaks MongoDB's protocol."""
        if address := os.environ.get("TEST_MONGO_URI"):
            return address
        if _containers_wanted():
            from testcontainers.community.mongodb import MongoDbContainer

            return str(self._container(MongoDbContainer("mongo:8")).get_connection_url())
        from servers.mongo import Mongo

        return f"mongodb://127.0.0.1:{self._native(Mongo).port}"

    def stop(self) -> None:
        for server, process in reversed(self._running):
            process.send_signal(server.stop_signal)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for container in reversed(self._containers):
            container.stop()


def _containers_wanted() -> bool:
    return os.environ.get("TEST_CONTAINERS") == "1"

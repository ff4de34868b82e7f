"""A service of several processes, as the tests see it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import psutil

from testkit import eventually, free_port

SERVICE = Path(__file__).with_name("group_service.py")
OPENED_TOGETHER = 16


class Group:
    """The processes of a service: `first` is the one that was started, the others are its children."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, folder: Path, grpc_port: int) -> None:
        self.process = process
        self.url = url
        self.folder = folder
        self.grpc_port = grpc_port
        self.first = process.pid

    def others(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.first).children()]

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, timeout=20, limits=httpx2.Limits(max_connections=1))

    @asynccontextmanager
    async def connected_to(self, pid: int) -> AsyncIterator[httpx2.AsyncClient]:
        """Give a client whose one connection is to this process."""
        async with AsyncExitStack() as opened:

            async def found() -> httpx2.AsyncClient | None:
                # At once, so that no process can take all of them.
                clients = [await opened.enter_async_context(self.client()) for _ in range(OPENED_TOGETHER)]
                answers = await asyncio.gather(*(client.get("/v1/pid") for client in clients))
                return next((one for one, answer in zip(clients, answers, strict=True) if answer.json() == pid), None)

            yield await eventually(found, 20)

    async def ready(self) -> dict[str, Any] | None:
        """Return the report of `/ready` over a new connection, or None if nobody answers."""
        with suppress(httpx2.TransportError):
            async with self.client() as client:
                report: dict[str, Any] = (await client.get("/ready")).json()
                return report
        return None

    async def is_ready(self) -> bool:
        report = await self.ready()
        return report is not None and report["status"] == "ready"

    async def exit_code(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 30)

    async def stop(self) -> None:
        """Stop it as an orchestrator does; it exits with 0."""
        self.process.send_signal(signal.SIGTERM)
        assert await self.exit_code() == 0, "the service did not stop well"

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the log. Every line is one object."""
        for line in (self.folder / "log").read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


def are_gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


@asynccontextmanager
async def group(folder: Path, processes: int = 2, **settings: str) -> AsyncIterator[Group]:
    """Run a service of so many processes until the block ends; nothing of it is left then."""
    port, grpc_port = free_port(), free_port()
    environment = os.environ | {
        "TEST_FOLDER": str(folder),
        "HTTP_PROCESSES": str(processes),
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": str(port),
        "GRPC_PORT": str(grpc_port),
        "DB_PORT": str(free_port()),
        **settings,
    }
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(SERVICE), "serve", env=environment, cwd=folder, stderr=log, start_new_session=True
        )
    started = Group(process, f"http://127.0.0.1:{port}", folder, grpc_port)
    try:
        await eventually(started.is_ready, 60)
        yield started
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def failed_start(folder: Path, **settings: str) -> tuple[int, list[int]]:
    """Run a service that ends by itself; return its exit code, and its children that were seen."""
    environment = os.environ | {"TEST_FOLDER": str(folder), "HTTP_HOST": "127.0.0.1", "DB_PORT": str(free_port())}
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(SERVICE), "serve", env=environment | settings, cwd=folder, stderr=log
        )
    seen: set[int] = set()

    def ended() -> bool:
        with suppress(psutil.NoSuchProcess):
            seen.update(child.pid for child in psutil.Process(process.pid).children())
        return process.returncode is not None

    await eventually(ended, 60, 0.005)
    return int(process.returncode or 0), sorted(seen)

"""Connections that send what no client library would, and what the server's process holds meanwhile."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

POST = b"POST /v1/things/1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


class Raw:
    """One connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, url: httpx2.URL, **options: int) -> "Raw":
        return cls(*await asyncio.open_connection(url.host, url.port, **options))

    async def send(self, data: bytes) -> bool:
        """Send. Returns False if the server has closed the connection."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            return False
        return True

    async def rest(self, deadline_s: float = 10) -> bytes:
        """Return what the server sends until it closes. Raises TimeoutError when it does not."""
        parts = []
        async with asyncio.timeout(deadline_s):
            try:
                while part := await self._reader.read(65536):
                    parts.append(part)
            except ConnectionError:
                pass
        self.writer.close()
        return b"".join(parts)

    async def until(self, end: bytes, deadline_s: float = 10) -> bytes:
        async with asyncio.timeout(deadline_s):
            return await self._reader.readuntil(end)


@asynccontextmanager
async def many(url: httpx2.URL, count: int, first: bytes) -> AsyncIterator[list[Raw]]:
    """Open connections that each send `first` and nothing more."""
    opened = []
    try:
        for _ in range(count):
            opened.append(await Raw.connect(url))
            await opened[-1].send(first)
        yield opened
    finally:
        for each in opened:
            each.writer.close()


def memory_mib(pid: int) -> float:
    """Return the memory that a process alone is accountable for (PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def sockets(pid: int) -> int:
    count = 0
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(each).startswith("socket:")
    return count


async def slowest(client: httpx2.AsyncClient, until: asyncio.Future[Any]) -> float:
    """Ask for `/v1/things/bodyless` again and again until the future is done; return the longest wait in seconds."""
    longest = 0.0
    while not until.done():
        began = time.monotonic()
        answer = await client.get("/v1/things/bodyless")
        assert answer.status_code == 200
        longest = max(longest, time.monotonic() - began)
    return longest


def status_of(answer: bytes) -> int:
    """Return the status of the last answer."""
    return int(answer.rpartition(b"HTTP/1.1 ")[2][:3] or b"0")

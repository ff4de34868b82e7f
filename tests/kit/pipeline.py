"""The collector and the log store as processes of a test, and lines for them."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from fc.demo.shop import poll
from servers.base import Server
from servers.collector import Collector
from servers.victorialogs import VictoriaLogs
from testkit import free_port

DEADLINE_S = 60


class Process:
    """A server that runs as a child of the test; `arguments` are added to its command line."""

    def __init__(self, server: Server, log: Path, *arguments: str) -> None:
        self.server = server
        self._log = log
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "it runs"
        return self._process.pid

    async def start(self) -> None:
        self.server.prepare()
        with self._log.open("ab") as log:
            command = [*self.server.command(), *self._arguments]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
        await poll(self.server.ready, f"{self.server.name} is ready, see {self._log}", DEADLINE_S, 0.02)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and wait for the end."""
        if self._process is not None:
            self._process.send_signal(number)
            await asyncio.to_thread(self._process.wait, 30)
            self._process = None


class Pipeline:
    """A folder of logs, the collector that reads it, and the store to which it sends."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.logs = home / "logs"
        self.logs.mkdir()
        self.state = home / "state"
        self._store = VictoriaLogs(home / "store", free_port())
        self.url = f"http://127.0.0.1:{self._store.port}"
        collector = Collector(
            self.state, free_port(), metrics_port=free_port(), logs=f"{self.logs}/*.log*", store=self._store.otlp
        )
        self.store = Process(self._store, home / "store.out")
        self.collector = Process(collector, home / "collector.out", *arguments)
        self.metrics_url = f"http://127.0.0.1:{collector.metrics_port}/metrics"

    @classmethod
    @asynccontextmanager
    async def running(cls, home: Path, *arguments: str) -> "AsyncIterator[Pipeline]":
        pipeline = cls(home, *arguments)
        try:
            await pipeline.store.start()
            await pipeline.collector.start()
            yield pipeline
        finally:
            await pipeline.collector.stop(signal.SIGKILL)
            await pipeline.store.stop(signal.SIGKILL)

    def write(self, name: str, *lines: dict[str, Any] | bytes) -> None:
        """Add lines to a log in one write, as services do."""
        texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        with (self.logs / name).open("ab") as file:
            file.write(b"".join(text + b"\n" for text in texts))

    async def query(self, query: str) -> list[dict[str, str]]:
        """Return the records that fit a query of VictoriaLogs."""
        async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
            answer = await client.post(f"{self.url}/select/logsql/query", data={"query": query})
        assert answer.is_success, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    async def found(self, query: str, count: int = 1) -> list[dict[str, str]]:
        """Wait until so many records fit a query."""

        async def there() -> list[dict[str, str]] | None:
            records = await self.query(query)
            return records if len(records) >= count else None

        records: list[dict[str, str]] = await poll(there, f"{count} records of {query}", DEADLINE_S, 0.1)
        return records

    async def full(self) -> None:
        """Wait until the collector's queue takes no more."""

        async def is_full() -> bool:
            async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
                text = (await client.get(self.metrics_url)).text
            values = {
                name: sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name}{{"))
                for name in ("otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity")
            }
            size, capacity = values.values()
            return size > 0.7 * capacity > 0

        await poll(is_full, "the queue is full", DEADLINE_S, 0.1)

    def memory_bytes(self) -> int:
        """The memory of the collector."""
        pages = Path(f"/proc/{self.collector.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def kept_bytes(self) -> int:
        """What the collector keeps on disk."""
        return sum(path.stat().st_size for path in self.state.rglob("*") if path.is_file())

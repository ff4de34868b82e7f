"""Reads /metrics and /ready of the processes of each service, again and again, into rings of fifteen minutes."""

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2
import structlog

from chassis.loops import wait_any
from console.model import standing
from console.model.families import NAMES
from console.model.readings import Readings
from console.model.ring import EVERY_S, Ring
from console.model.standing import Standing

log = structlog.get_logger(__name__)

TIMEOUT_S = 2.0
# How often the states are read while a page shows them, and for how long after that.
VIEWED_EVERY_S = 1.0
VIEWED_S = 15.0
# The most processes behind one name.
MAX_PROCESSES = 8
MAX_BYTES = 4 * 1024 * 1024


@dataclass
class Process:
    """One process of a service."""

    url: str
    ring: Ring = field(default_factory=lambda: Ring(NAMES))
    standing: Standing = field(default_factory=Standing)
    # Whether its address is still behind the name of its service.
    is_listed: bool = True


class Watch:
    """What the services show. A name with several addresses stands for several processes, each with its own figures.

    `on_change` is called when the state of a process is not what it was. `looked_at` is the moment of the last figures,
    in seconds since 1970.
    """

    name = "metrics of the services"

    def __init__(self, http: httpx2.AsyncClient, urls: Mapping[str, str], on_change: Callable[[], None]) -> None:
        self._http = http
        self._on_change = on_change
        self._urls = urls
        self._processes: dict[str, dict[str, Process]] = {service: {} for service in urls}
        self._viewed_at = float("-inf")
        self._wake = asyncio.Event()
        self.looked_at = 0.0

    def viewed(self) -> None:
        """Note that a page shows the states: they are read more often for a while."""
        if time.monotonic() - self._viewed_at > VIEWED_S:
            self._wake.set()
        self._viewed_at = time.monotonic()

    def readings(self, service: str) -> Readings:
        return Readings([process.ring for process in self._processes[service].values()])

    def standing(self, service: str) -> Standing:
        """Return the state of a service: that of its process that is worst."""
        return standing.worst([process.standing for process in self.processes(service)])

    def processes(self, service: str) -> list[Process]:
        return [process for process in self._processes[service].values() if process.is_listed]

    def count(self, service: str) -> int:
        return len(self.processes(service))

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop` is set."""
        slot = 0.0
        while not stop.is_set():
            due = time.time() // EVERY_S * EVERY_S
            await self.look(due if due > slot else None)
            slot = due
            left = max(slot + EVERY_S - time.time(), 0.01)
            is_viewed = time.monotonic() - self._viewed_at < VIEWED_S
            self._wake.clear()
            await wait_any(min(left, VIEWED_EVERY_S) if is_viewed else left, stop, self._wake)

    async def look(self, at: float | None) -> None:
        """Read the state of every process, and with a moment also its metrics for it."""
        await asyncio.gather(*(self._find(service) for service in self._urls if at or not self._processes[service]))
        processes = [each for of_service in self._processes.values() for each in of_service.values()]
        before = [process.standing for process in processes]
        await asyncio.gather(*(self._read(process, at) for process in processes))
        self.looked_at = at or self.looked_at
        if before != [process.standing for process in processes]:
            self._on_change()

    async def _find(self, service: str) -> None:
        """Look up the addresses behind a service's name. The figures of one that is gone stay as long as the others."""
        processes, urls = self._processes[service], await _addresses(self._urls[service])
        for url in urls:
            if url not in processes and len(processes) < MAX_PROCESSES:
                processes[url] = Process(url)
        for url, process in list(processes.items()):
            process.is_listed = url in urls
            if not process.is_listed and process.ring.is_empty:
                del processes[url]

    async def _read(self, process: Process, at: float | None) -> None:
        process.standing = await self._standing(process.url) if process.is_listed else Standing("away")
        if at is None:
            return
        text = None if process.standing.state == "away" else await self._metrics(process.url)
        try:
            process.ring.add(at, text)
        except ValueError as error:
            log.warning("metrics can't be read", address=process.url, error=str(error))
            process.ring.add(at, None)

    async def _standing(self, url: str) -> Standing:
        try:
            answer = await self._http.get(f"{url}/ready", timeout=TIMEOUT_S)
            return standing.read(answer.json())
        except httpx2.TimeoutException:
            return Standing("away", reason=f"no answer in {TIMEOUT_S:g} s")
        except (httpx2.HTTPError, ValueError) as error:
            return Standing("away", reason=type(error).__name__)

    async def _metrics(self, url: str) -> str | None:
        try:
            async with self._http.stream("GET", f"{url}/metrics", timeout=TIMEOUT_S) as answer:
                if answer.status_code != 200:
                    return None
                body = bytearray()
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > MAX_BYTES:
                        return None
                return body.decode(errors="replace")
        except httpx2.HTTPError:
            return None


async def _addresses(url: str) -> list[str]:
    """Return the URL with each address of its name; the URL itself for TLS, whose certificate has the name."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        return [url]
    try:
        async with asyncio.timeout(TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(
                parts.hostname, parts.port or 80, family=socket.AF_INET, type=socket.SOCK_STREAM
            )
    except (OSError, TimeoutError):
        return [url]
    hosts = {address[0] for *_, address in found if isinstance(address[0], str)}
    return [f"http://{host}:{parts.port or 80}" for host in sorted(hosts)] or [url]

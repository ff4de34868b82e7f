"""How long an audit takes: `python -m scripts.tests.fc_audit.bench [ORDERS]`, on its own servers with generated orders.

All servers are real: PostgreSQL, Kafka, the MongoDB server, and the Xendit simulator over HTTP.
"""

import asyncio
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from fc.audit.model import Invoice
from fc.audit.run import run_audit
from fc.platform.snapshot import Address
from fc.platform.sources import Sources, XenditAddress
from fc.stack.layout import SERVICES
from testkit import Databases, Servers, eventually, free_port
from xendit_sim.model import Invoice as SimulatedInvoice
from xendit_sim.model import Payment, Status, stamp
from xendit_sim.store import Store

from .samples import sample
from .world import World, opened_world

CHUNK = 1_000
# What a shop sees: most orders are paid, some expire, a few find no stock.
MIXTURE = ["paid"] * 16 + ["expired"] * 2 + ["rejected", "open"]


class Stopwatch:
    """Notes how many seconds each part takes."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._name, self._began = "connecting", time.perf_counter()

    def stage(self, name: str, total: int | None = None) -> None:
        now = time.perf_counter()
        self.parts[self._name] = round(now - self._began, 2)
        self._name, self._began = name, now

    def advance(self, count: int) -> None:
        """Go on."""


def simulated(invoice: Invoice) -> SimulatedInvoice:
    """Turn an invoice into one of the simulator's own."""
    at = stamp(invoice.created or datetime.now(UTC))
    made = SimulatedInvoice(
        invoice.id,
        f"order-{invoice.order_id}",
        int(invoice.amount),
        invoice.currency,
        Status(invoice.status),
        at,
        at,
        stamp(datetime.now(UTC) + timedelta(days=2)),
        "https://pay",
        {},
    )
    return replace(made, payments=[Payment(int(invoice.amount), invoice.currency, at)] if invoice.payments else [])


@contextmanager
def simulator(data: Path, invoices: list[Invoice]) -> Iterator[str]:
    """Run the simulator on a file with these invoices."""
    store = Store(str(data))
    for invoice in invoices:
        store.save(simulated(invoice))
    store.close()
    port = free_port()
    environment = {**os.environ, "XENDIT_SIM_PORT": str(port), "XENDIT_SIM_DATA": str(data)}
    process = subprocess.Popen([sys.executable, "-m", "xendit_sim"], env=environment, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


async def fill(world: World, orders: int) -> None:
    """Store so many orders, each a day old."""
    at = datetime.now(UTC) - timedelta(days=1)
    for start in range(0, orders, CHUNK):
        numbers = range(start, min(start + CHUNK, orders))
        await world.store([sample(number + 1, MIXTURE[number % len(MIXTURE)], at) for number in numbers])


async def audit(told: dict[str, Any]) -> dict[str, Any]:
    """Audit once, and give the figures; in a process that does nothing else, so that its memory is the audit's."""
    databases = {service: Address(**address) for service, address in told["databases"].items()}
    sources = Sources(databases, told["kafka"], told["mongo"], XenditAddress(told["xendit"]))
    watch, idle = Stopwatch(), _mib()
    report = await run_audit(sources, watch=watch)
    watch.stage("")
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": round(report.seconds, 2),
        "parts": watch.parts,
        "cores": os.cpu_count(),
        "cpu_seconds_with_start": round(used.ru_utime + used.ru_stime, 2),
        "load": round(os.getloadavg()[0], 1),
        "peak_mib": _mib(),
        "idle_mib": idle,
        "summary": report.summary(),
    }


def _mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def measure(orders: int, home: Path) -> dict[str, Any]:
    """Fill stores of our own and have them audited."""
    servers = Servers(home)
    try:
        databases = Databases(servers.postgres())
        made = {service: await databases.make(service) for service in SERVICES}
        async with opened_world(made, servers.kafka(), servers.mongo()) as world:
            await fill(world, orders)
            with simulator(home / "invoices.sqlite", world.xendit.held) as url:
                async with httpx2.AsyncClient(trust_env=False) as client:
                    await eventually(lambda: _answers(client, url), 30)
                addresses = {service: asdict(address) for service, address in world.sources.databases.items()}
                told = {
                    "databases": addresses,
                    "kafka": world.sources.kafka,
                    "mongo": world.sources.mongo,
                    "xendit": url,
                }
                command = [sys.executable, "-m", "scripts.tests.fc_audit.bench", "--audit"]
                done = subprocess.run(command, input=json.dumps(told), capture_output=True, text=True, check=True)
                return dict(json.loads(done.stdout))
    finally:
        servers.stop()


async def _answers(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/ping")).status_code == 200
    except httpx2.HTTPError:
        return False


def main() -> None:
    """Print the figures as JSON."""
    logging.disable(logging.CRITICAL)
    if sys.argv[1:] == ["--audit"]:
        print(json.dumps(asyncio.run(audit(json.load(sys.stdin)))))  # noqa: T201 - its output
        return
    orders = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as home:
        os.chmod(home, 0o755)
        print(json.dumps(asyncio.run(measure(orders, Path(home)))))  # noqa: T201 - its output


if __name__ == "__main__":
    main()

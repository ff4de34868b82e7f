"""Compares the statements of a platform that has grown with those of a nearly empty one: `make growth`.

Each statement is run by the service's own function, prepared by the driver and more often than PostgreSQL takes to
choose a generic plan, in transactions that are rolled back. Exits with 1 when one takes more than twice its time.
"""

import asyncio
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer
from rich.console import Console
from rich.table import Table

from bench.growth_rows import GROWN, SMALL, Size, fill
from bench.growth_work import Work, work_of
from chassis.config.settings import ServiceSettings, load
from chassis.db import outbox_queue
from chassis.db.database import Database, Tx, connect, session_settings
from testkit.databases import Databases
from testkit.servers import Servers

# PostgreSQL considers a generic plan from the sixth execution on.
WARM_UP, RUNS = 8, 25
FACTOR = 2.0
# Differences below this are noise of the machine.
NOISE_MS = 0.3
STATEMENT_TIMEOUT_S = 600
_NODE = re.compile(r"(Seq Scan|Index Only Scan|Index Scan|Bitmap Index Scan)( Backward)?( using \S+)? on (\S+)")


class Rehearsal(Database):
    """Runs everything on one connection, in a transaction that is rolled back, and notes the statements."""

    def __init__(self, settings: ServiceSettings, session: asyncpg.Connection) -> None:
        self.settings = settings
        self.relay_wake = asyncio.Event()
        self.session = session

    async def rehearse(self, work: Work) -> float:
        """Run the work and return the seconds that it took."""
        # The admin API reads a page at one moment: asyncpg nests no transaction into one of another isolation.
        rolled_back = self.session.transaction(isolation="repeatable_read")
        await rolled_back.start()
        began = time.perf_counter()
        await work(self)
        took = time.perf_counter() - began
        await rolled_back.rollback()
        return took

    @asynccontextmanager
    async def driver(self) -> AsyncIterator[asyncpg.Connection]:
        yield self.session

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        yield Tx(self.session)


@dataclass(slots=True)
class Result:
    """The fastest runs of a piece of work in milliseconds, and the access paths of its statements when grown."""

    service: str
    name: str
    small_ms: float
    grown_ms: float
    plans: list[str]

    @property
    def is_over(self) -> bool:
        return self.grown_ms > FACTOR * self.small_ms and self.grown_ms - self.small_ms > NOISE_MS


async def measure(run: tuple[Work, Work], databases: tuple[Rehearsal, Rehearsal]) -> tuple[float, float]:
    """Return the fastest run on each database in milliseconds. The runs alternate: other load meets both."""
    fastest = [float("inf"), float("inf")]
    for number in range(WARM_UP + RUNS):
        for place, (work, db) in enumerate(zip(run, databases, strict=True)):
            took = await db.rehearse(work)
            if number >= WARM_UP:
                fastest[place] = min(fastest[place], took * 1000)
    return fastest[0], fastest[1]


async def plans(db: Rehearsal, work: Work) -> list[str]:
    """Return how the generic plans of the statements reach the tables, one line for each statement."""
    statements: list[str] = []
    with db.session.query_logger(lambda query: statements.append(query.query)):
        await db.rehearse(work)
    return [await _plan(db.session, statement) for statement in statements if not _is_control(statement)]


def _is_control(statement: str) -> bool:
    return statement.lstrip().upper().startswith(("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"))


async def _plan(connection: asyncpg.Connection, statement: str) -> str:
    count = len((await connection.prepare(statement)).get_parameters())
    arguments = f"({', '.join(['NULL'] * count)})" if count else ""
    await connection.execute(f"SET plan_cache_mode = force_generic_plan; PREPARE shown AS {statement}")
    lines = [row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE shown{arguments}")]
    await connection.execute("DEALLOCATE shown; RESET plan_cache_mode")
    scans = dict.fromkeys("".join(part or "" for part in found) for found in map(_scan, lines) if found)
    return "; ".join(scans) or "no table is read"


def _scan(line: str) -> tuple[str, ...] | None:
    found = _NODE.search(line)
    return None if found is None else (found[1], found[3] or f" of {found[4]}")


async def _open(databases: Databases, service: str, size: Size) -> Rehearsal:
    settings_class = import_module(f"{service}.config").Settings
    settings = load(settings_class, environment="test", **await databases.make(service))
    filling = await connect(settings, command_timeout=STATEMENT_TIMEOUT_S)
    await fill(filling, service, size)
    await filling.close()
    return Rehearsal(settings, await connect(settings, server_settings=session_settings(settings)))


async def compare(
    server: dict[str, Any], small: Size = SMALL, grown: Size = GROWN, services: Sequence[str] = (), spoil: str = ""
) -> list[Result]:
    """Measure all work on two databases per service. `spoil` is run on the grown ones first, for tests."""
    databases = Databases(server)
    results: list[Result] = []
    for service in services or work_of(small.orders):
        both = await _open(databases, service, small), await _open(databases, service, grown)
        if spoil:
            await both[1].session.execute(spoil)
        works = work_of(small.orders)[service], work_of(grown.orders)[service]
        results += [await _result(service, name, (run, works[1][name]), both) for name, run in works[0].items()]
        for db in both:
            await db.session.close()
    return results


async def _result(service: str, name: str, run: tuple[Work, Work], both: tuple[Rehearsal, Rehearsal]) -> Result:
    for db in both:
        await (outbox_queue.prepare(db.session) if name.startswith("relay") else db.session.execute("RESET ALL"))
    return Result(service, name, *await measure(run, both), await plans(both[1], run[1]))


def report(results: Sequence[Result], console: Console) -> None:
    table = Table("service", "work", "nearly empty", "grown", "factor", "access", box=None)
    for each in results:
        mark = " OVER" if each.is_over else ""
        factor = f"{each.grown_ms / each.small_ms:.2f}{mark}"
        times = (f"{each.small_ms:.2f} ms", f"{each.grown_ms:.2f} ms")
        table.add_row(each.service, each.name, *times, factor, "\n".join(each.plans))
    console.print(table)


def main(
    orders: int = GROWN.orders,
    published: int = GROWN.published,
    waiting: int = GROWN.waiting,
    service: Annotated[list[str] | None, typer.Option(help="only this service; may be repeated")] = None,
) -> None:
    """Start a PostgreSQL of its own, fill it, measure, print both times and the access paths."""
    grown = Size(orders, published, waiting)
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        Path(folder).chmod(0o755)
        servers = Servers(Path(folder))
        began = time.monotonic()
        try:
            results = asyncio.run(compare(servers.postgres(), grown=grown, services=service or ()))
        finally:
            servers.stop()
    console = Console(width=200)
    report(results, console)
    over = [each for each in results if each.is_over]
    sizes = f"{orders:,} orders and payments, {published:,} published events, {waiting:,} rows backing off"
    console.print(f"{len(results)} pieces of work, {len(over)} over twice their time: {sizes}.")
    console.print(f"Took {time.monotonic() - began:.0f} s.")
    sys.exit(1 if over else 0)


if __name__ == "__main__":
    typer.run(main)

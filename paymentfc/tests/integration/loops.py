"""The loops over the use-cases of a payment service, and several services at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import REGISTRY

from chassis.db.database import Database
from paymentfc.app import invoice_loops
from paymentfc.due_work import DueWork
from testkit import eventually

from .bench import Bench

REPLICAS = 3
NEVER_S = 3_600.0
LOOPS = ("pending requests", "failed requests", "due work")


def _rounds() -> list[float]:
    """Return how often each of LOOPS has run."""
    labels = [{"loop": name, "outcome": "done"} for name in LOOPS]
    return [REGISTRY.get_sample_value("gocommerce_loop_runs_total", label) or 0 for label in labels]


@asynccontextmanager
async def running(bench: Bench, **intervals: float) -> AsyncIterator[None]:
    """Run the loops that make invoices, with the bench's gateway; without `intervals` they only run when woken."""
    never = dict.fromkeys(("scheduler_pending_interval_s", "scheduler_retry_interval_s"), NEVER_S)
    due = DueWork(bench.db, bench.settings.model_copy(update=never | intervals))
    due.requests.wake = bench.wake
    loops = [due, *invoice_loops(due, bench.create, bench.checks)]
    stop = asyncio.Event()
    before = _rounds()
    started = [asyncio.ensure_future(loop.run(stop)) for loop in loops if loop.name in LOOPS]
    assert len(started) == len(LOOPS)
    try:
        await eventually(lambda: all(now > then for now, then in zip(_rounds(), before, strict=True)))
        yield
    finally:
        stop.set()
        await asyncio.gather(*started)


@asynccontextmanager
async def replicas(bench: Bench) -> AsyncIterator[list[Bench]]:
    """Yield three services, each with a pool of its own, on one database and one gateway."""
    databases = [Database(bench.settings) for _ in range(REPLICAS)]
    yield [Bench(bench.settings, db, bench.xendit, bench.users) for db in databases]
    for db in databases:
        await db.close()

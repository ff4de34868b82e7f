"""Background loops: periodic work with jitter that waits out outages, and can be woken before its time."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import structlog
from prometheus_client import Counter

from chassis import clock
from chassis.errors import is_transient

log = structlog.get_logger(__name__)

RUNS = Counter("gocommerce_loop_runs_total", "Runs of background loops by outcome", ["loop", "outcome"])
OUTAGE_CAP_S = 5.0
MIGRATION_POLL_S = 0.5
CLOCK_LOOK_S = 0.2


class LastRun(NamedTuple):
    """When a loop last ended a run, in seconds since 1970, and how: `done` or `outage`."""

    ended_at: float
    outcome: str


LAST_RUNS: dict[str, LastRun] = {}
"""The last run of each loop of this process, by name."""


class Task(Protocol):
    """A part of a process that works in the background until it is stopped."""

    @property
    def name(self) -> str:
        """Its name in log lines."""

    def run(self, stop: asyncio.Event) -> Awaitable[None]:
        """Work until `stop` is set, then finish what was begun."""


@dataclass(frozen=True)
class Loop:
    """Periodic work: `work` runs each `interval_s` seconds (jittered by a tenth), and whenever `wake` is set.

    A clock that is moved wakes it too.

    A truthy result of `work` means that there is more to do at once. `name` is also the label of the metric. Without
    `wakes_in_outage` nothing ends the wait after an outage: who wakes the loop knows nothing of its dependency.
    """

    name: str
    interval_s: float
    work: Callable[[], Awaitable[object]]
    wake: asyncio.Event | None = None
    wakes_in_outage: bool = True

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set.

        A dependency that is down is waited for with capped backoff. Any other error is a defect: it ends the loop, and
        with it the process.
        """
        outages = 0
        while not stop.is_set():
            if self.wake is not None:
                self.wake.clear()
            moved = clock.moved()
            try:
                more = await self.work()
                RUNS.labels(self.name, "done").inc()
                LAST_RUNS[self.name] = LastRun(time.time(), "done")
                outages = 0
                wait = 0.0 if more else self.interval_s * random.uniform(0.9, 1.1)
            except Exception as error:
                if not is_transient(error):
                    raise
                RUNS.labels(self.name, "outage").inc()
                LAST_RUNS[self.name] = LastRun(time.time(), "outage")
                log.warning("background work waits for a dependency", loop=self.name, error=str(error))
                outages += 1
                wait = backoff(outages, 0.2, OUTAGE_CAP_S)
            await wait_any(wait, stop, moved, self.wake if self.wakes_in_outage or not outages else None)


class ClockWatch:
    """Notices that the clock was moved, which wakes what waits for a time. A part of processes that follow a clock."""

    name = "clock"

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            clock.notice()
            await wait_any(CLOCK_LOOK_S, stop)


def backoff(failures: int, first_s: float, cap_s: float) -> float:
    """Return the seconds to wait after so many failures in a row (1 or more): doubled each time, capped, jittered."""
    return min(first_s * 2.0 ** min(failures - 1, 16), cap_s) * random.uniform(0.8, 1.2)


async def wait_any(seconds: float, *events: asyncio.Event | None) -> None:
    """Wait until one of the events is set, at most `seconds`."""
    waits = [asyncio.ensure_future(event.wait()) for event in events if event is not None]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*waits, return_exceptions=True)


async def wait_until_migrated(check: Callable[[], Awaitable[object]] | None, stop: asyncio.Event) -> bool:
    """Wait until the check passes. Returns False if the service is stopped before that."""
    logged = False
    while check is not None and not stop.is_set():
        try:
            await check()
            break
        except Exception as error:
            if not logged:
                log.warning("waiting for a migrated database", error=f"{type(error).__name__}: {error}")
            logged = True
            await wait_any(MIGRATION_POLL_S, stop)
    return not stop.is_set()


def start_after(migrated: "asyncio.Task[bool]", task: Task, stop: asyncio.Event) -> asyncio.Task[None]:
    """Start a part once the database is migrated."""

    async def run_after_migrations() -> None:
        if await asyncio.shield(migrated):
            await task.run(stop)

    return asyncio.create_task(run_after_migrations(), name=task.name)

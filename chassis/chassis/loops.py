"""Background loops: periodic work with jitter, woken early by a hint, surviving outages and stopping when told."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from prometheus_client import Counter

from chassis.errors import is_contention, is_transient

log = structlog.get_logger(__name__)

RUNS = Counter("loop_runs_total", "Runs of background loops by outcome", ["loop", "outcome"])
OUTAGE_CAP_S = 5.0


async def every(
    interval_s: float,
    work: Callable[[], Awaitable[object]],
    stop: asyncio.Event,
    *,
    name: str,
    wake: asyncio.Event | None = None,
) -> None:
    """Run `work` each `interval_s` seconds (jittered by a tenth) and whenever `wake` is set, until `stop` is set.

    A truthy answer of `work` means that there is more to do at once. A dependency that is down is waited for with
    capped backoff; any other error is a defect and ends the loop, and with it the process.
    """
    outages = 0
    while not stop.is_set():
        if wake is not None:
            wake.clear()
        try:
            more = await work()
            RUNS.labels(name, "done").inc()
            outages = 0
            wait = 0.0 if more else interval_s * random.uniform(0.9, 1.1)
        except Exception as error:
            if not (is_transient(error) or is_contention(error)):
                raise
            RUNS.labels(name, "outage").inc()
            log.warning("background work waits for a dependency", loop=name, error=str(error))
            outages += 1
            wait = backoff(outages, 0.2, OUTAGE_CAP_S)
        await wait_any(wait, stop, wake)


def backoff(failures: int, first_s: float, cap_s: float) -> float:
    """Give the seconds to wait after so many failures in a row (1 or more): doubled each time, capped, jittered."""
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

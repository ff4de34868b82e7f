"""Prepares the first call of Xendit some time after the start, so that neither the start nor an order waits for it."""

import asyncio
from collections.abc import Awaitable, Callable

from chassis.loops import wait_any

# Services that start together have started by then, and need the cores no more.
AFTER_S = 2.0


class WarmUp:
    """Calls `make` once, AFTER_S seconds after the start."""

    name = "warm up"

    def __init__(self, make: Callable[[], Awaitable[object]]) -> None:
        self._make = make

    async def run(self, stop: asyncio.Event) -> None:
        await wait_any(AFTER_S, stop)
        if not stop.is_set():
            await self._make()
        await stop.wait()

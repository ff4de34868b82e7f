"""A background loop over claimed work: as many items at once as there are slots; a slow one holds up none else."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from chassis.loops import Loop

log = structlog.get_logger(__name__)

SLOTS = 8

T = TypeVar("T")


class ClaimLoop(Generic[T]):
    """Claims up to the number of free slots and works on each item in its own task.

    An item whose work fails is left to its lease; the loop goes on. `claim(limit)` commits its claim before returning.
    """

    def __init__(
        self,
        name: str,
        claim: Callable[[int], Awaitable[Sequence[T]]],
        work: Callable[[T], Awaitable[object]],
        *,
        interval_s: float = 60,
        wake: asyncio.Event | None = None,
        slots: int = SLOTS,
    ) -> None:
        self.name = name
        self._interval_s = interval_s
        self._claim = claim
        self._work = work
        self._wake = wake or asyncio.Event()
        self._slots = slots
        self._running: set[asyncio.Task[None]] = set()
        self._more = False

    async def run(self, stop: asyncio.Event) -> None:
        """Claim every `interval_s` seconds and when woken, until `stop` is set; then finish what is claimed."""
        try:
            await Loop(self.name, self._interval_s, self._fill, self._wake).run(stop)
        finally:
            await asyncio.gather(*self._running, return_exceptions=True)

    async def drain(self) -> int:
        """Work on everything that is due now, and return how many items that was."""
        count = 0
        while items := await self._claim(self._slots):
            await asyncio.gather(*(self._work(item) for item in items))
            count += len(items)
        return count

    async def _fill(self) -> None:
        free = self._slots - len(self._running)
        if free <= 0:
            self._more = True
            return
        items = await self._claim(free)
        self._more = len(items) == free
        for item in items:
            task = asyncio.create_task(self._guarded(item), name=self.name)
            self._running.add(task)
            task.add_done_callback(self._done)

    async def _guarded(self, item: T) -> None:
        try:
            await self._work(item)
        except Exception as error:
            log.error("background work failed, its lease will end", loop=self.name, exc_info=error)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._more:
            self._wake.set()

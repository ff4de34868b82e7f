"""A background loop over claimed work: several items at the same time, so that a slow one does not delay the others."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

import structlog

from chassis import telemetry
from chassis.loops import Loop

log = structlog.get_logger(__name__)

SLOTS = 8
# `wake` says when there is work: see due_work.py.
UNASKED_S = 3600

T = TypeVar("T")


class OfOrder(Protocol):
    """Work on an order, whose key and trace it knows."""

    @property
    def external_id(self) -> str: ...

    @property
    def traceparent(self) -> str | None: ...


Item = TypeVar("Item", bound=OfOrder)


def traced(name: str, work: Callable[[Item], Awaitable[None]]) -> Callable[[Item], Awaitable[None]]:
    """Give the work on an item a span, in the trace of its order."""

    async def run(item: Item) -> None:
        with telemetry.work_span(name, item.traceparent, item.external_id):
            await work(item)

    return run


class ClaimLoop(Generic[T]):
    """Claims as many items as it has free slots, and works on each in a task of its own.

    `claim(limit)` commits its claim before it returns. An item whose work fails is free again when its lease ends; the
    loop goes on. `note` is called after the work on each item.
    """

    def __init__(
        self,
        name: str,
        claim: Callable[[int], Awaitable[Sequence[T]]],
        work: Callable[[T], Awaitable[object]],
        wake: asyncio.Event | None = None,
        slots: int = SLOTS,
        note: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._claim = claim
        self._work = work
        self._wake = wake or asyncio.Event()
        self._slots = slots
        self._note = note
        self._loop = Loop(name, UNASKED_S, self._fill, self._wake)
        self._running: set[asyncio.Task[None]] = set()
        self._more = False

    async def run(self, stop: asyncio.Event) -> None:
        """Claim at once and whenever woken, until `stop` is set; then finish the claimed items."""
        try:
            await self._loop.run(stop)
        finally:
            await asyncio.gather(*self._running, return_exceptions=True)

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
            log.error("background work failed, free again when its lease ends", loop=self.name, exc_info=error)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._note()
        if self._more:
            self._wake.set()

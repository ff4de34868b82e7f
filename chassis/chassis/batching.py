"""Batches of items from many callers. Items that arrive while a batch runs make the next one. There is no timer."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")
R = TypeVar("R")

MOST = 64
AT_WORK = 2
# A batch that has run for so long no longer counts as running, so that one that hangs does not block the others.
SLOW_S = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class _Entry(Generic[T, R]):
    """An item that waits, with the future and the context (request id, span) of its caller."""

    item: T
    result: asyncio.Future[R]
    context: Context

    def succeed(self, result: R) -> None:
        if not self.result.done():
            self.result.set_result(result)

    def fail(self, error: Exception) -> None:
        if not self.result.done():
            self.result.set_exception(error)
            # Read here, because a caller that is cancelled in this moment does not.
            self.result.exception()


class Batches(Generic[T, R]):
    """Runs items in batches. `run` gets the items of a batch and returns their results in the same order.

    A batch begins at once while fewer than `at_work` are at work, with all items that wait, oldest first: at most
    `most`, and no two for which `apart` returns the same. So one item does not wait for others, and batches grow with
    the load. A batch of one runs in the context of its caller, a batch of several in an empty one.

    When `run` raises for several items and `is_without_effect` says of the error that nothing was done, each of them is
    run by itself, so that one bad item does not spoil the others. Any other error goes to all callers of the batch.

    Who cancels the future of an item leaves the others alone; the item is left out unless its batch has begun. What
    waits is bounded by the callers: in a service by MAX_IN_WORK requests (chassis/http/load.py).
    """

    def __init__(
        self,
        run: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        is_without_effect: Callable[[Exception], bool],
        *,
        apart: Callable[[T], Hashable] | None = None,
        most: int = MOST,
        at_work: int = AT_WORK,
    ) -> None:
        self._run = run
        self._is_without_effect = is_without_effect
        self._apart = apart
        self._most = most
        self._at_work = at_work
        self._waiting: deque[_Entry[T, R]] = deque()
        self._is_beginning = False
        self._tasks: set[asyncio.Task[None]] = set()
        # Those that count as being at work, each with the timer that ends this.
        self._counted: dict[asyncio.Task[None], asyncio.TimerHandle] = {}

    def submit(self, item: T) -> asyncio.Future[R]:
        """Return the future of the item's result or error. A caller that is cancelled while it awaits it cancels it."""
        entry: _Entry[T, R] = _Entry(item, asyncio.get_running_loop().create_future(), copy_context())
        self._waiting.append(entry)
        self._begin_soon()
        return entry.result

    def _begin_soon(self) -> None:
        """Start a batch after the callbacks of this turn of the event loop, which may add items."""
        if self._waiting and not self._is_beginning and len(self._counted) < self._at_work:
            self._is_beginning = True
            asyncio.get_running_loop().call_soon(self._begin, context=Context())

    def _begin(self) -> None:
        self._is_beginning = False
        batch = self._take()
        if not batch:
            return
        loop = asyncio.get_running_loop()
        context = batch[0].context if len(batch) == 1 else Context()
        task = loop.create_task(self._work(batch), context=context)
        self._tasks.add(task)
        self._counted[task] = loop.call_later(SLOW_S, self._give_way, task)
        task.add_done_callback(self._give_way)
        task.add_done_callback(self._tasks.discard)
        self._begin_soon()

    def _give_way(self, task: asyncio.Task[None]) -> None:
        if timer := self._counted.pop(task, None):
            timer.cancel()
            self._begin_soon()

    def _take(self) -> list[_Entry[T, R]]:
        """Take the next batch. What can't be in it keeps its place."""
        batch: list[_Entry[T, R]] = []
        left: list[_Entry[T, R]] = []
        taken: set[Hashable] = set()
        while self._waiting and len(batch) < self._most:
            entry = self._waiting.popleft()
            name = self._apart(entry.item) if self._apart else entry
            if entry.result.done():
                continue
            if name in taken:
                left.append(entry)
            else:
                taken.add(name)
                batch.append(entry)
        self._waiting.extendleft(reversed(left))
        return batch

    async def _work(self, batch: Sequence[_Entry[T, R]]) -> None:
        try:
            results = await self._run([entry.item for entry in batch])
            for entry, result in zip(batch, results, strict=True):
                entry.succeed(result)
        except Exception as error:
            if len(batch) > 1 and self._is_without_effect(error):
                log.warning("batch failed, each item is run by itself", items=len(batch), error=str(error))
                await self._run_apart(batch)
            else:
                for entry in batch:
                    entry.fail(error)
        finally:
            # Something is left here only if the event loop is being closed.
            for entry in batch:
                entry.result.cancel()

    async def _run_apart(self, batch: Sequence[_Entry[T, R]]) -> None:
        for entry in batch:
            if not entry.result.done():
                await asyncio.get_running_loop().create_task(self._work([entry]), context=entry.context)

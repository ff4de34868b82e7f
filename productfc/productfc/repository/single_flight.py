"""Single-flight loads: concurrent readers of a product share one query that begins after all of them have called."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any

Load = Callable[[int], Awaitable[bytes | None]]


class SingleFlight:
    """Loads products with at most one query per product at a time.

    A caller that arrives while a query runs waits for the next query, because the running one may have read before a
    change that this caller has already seen. All waiting callers share that next query.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._running: dict[int, asyncio.Task[bytes | None]] = {}
        self._next: dict[int, asyncio.Task[bytes | None]] = {}

    async def __call__(self, product_id: int) -> bytes | None:
        """Return what `load` returns, from a query that begins after this call. Raises what `load` raises."""
        task = self._next.get(product_id)
        if task is None:
            task = asyncio.create_task(self._load_after(product_id, self._running.get(product_id)))
            self._next[product_id] = task
            task.add_done_callback(retrieve_exception)
        return await asyncio.shield(task)

    async def _load_after(self, product_id: int, running: "asyncio.Task[bytes | None] | None") -> bytes | None:
        if running is not None:
            await asyncio.wait({running})
        task = self._running[product_id] = self._next.pop(product_id)
        try:
            return await self._load(product_id)
        finally:
            if self._running.get(product_id) is task:
                del self._running[product_id]


class SharedTasks:
    """One task for each key: who asks while it runs gets its result."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[bytes | None]] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._running

    async def run(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, bytes | None]]) -> bytes | None:
        """Return what the work returns, started now or earlier. Raises what it raises."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._remove(key, done))
        return await asyncio.shield(task)

    def _remove(self, key: Hashable, task: "asyncio.Task[bytes | None]") -> None:
        del self._running[key]
        retrieve_exception(task)


def retrieve_exception(task: "asyncio.Task[bytes | None]") -> None:
    """Mark a task's exception as retrieved: asyncio reports one as lost when all waiting callers were cancelled."""
    if not task.cancelled():
        task.exception()

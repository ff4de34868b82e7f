"""One query for all who ask for the same product at once, without any of them seeing what was true before it asked."""

import asyncio
from collections.abc import Awaitable, Callable

Load = Callable[[int], Awaitable[bytes | None]]


class SharedLoad:
    """Loads products, each by one query at a time.

    Who asks while a query runs waits for the next one: the running one may have read before a change that the caller
    knows of. All who wait share that next query.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._running: dict[int, asyncio.Task[bytes | None]] = {}
        self._next: dict[int, asyncio.Task[bytes | None]] = {}

    async def __call__(self, product_id: int) -> bytes | None:
        """Give what `load` gives, from a query that begins after this call. Raises what it raises."""
        following = self._next.get(product_id)
        if following is None:
            following = asyncio.create_task(self._after(product_id, self._running.get(product_id)))
            self._next[product_id] = following
            following.add_done_callback(_told)
        return await asyncio.shield(following)

    async def _after(self, product_id: int, running: "asyncio.Task[bytes | None] | None") -> bytes | None:
        if running is not None:
            await asyncio.wait({running})
        task = self._running[product_id] = self._next.pop(product_id)
        try:
            return await self._load(product_id)
        finally:
            if self._running.get(product_id) is task:
                del self._running[product_id]


def _told(task: "asyncio.Task[bytes | None]") -> None:
    """Take note of an error that nobody waits for any more."""
    if not task.cancelled():
        task.exception()

"""The text of `/metrics`, made in a bounded share of the process's time, however many ask for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable

# How much longer than the making of a text the pause behind it lasts, and the longest pause.
PAUSE_FACTOR, MAX_PAUSE_S = 9, 1.0


class MetricsText:
    """Makes one text at a time, for all that wait for it.

    After a text as many times its duration pass as PAUSE_FACTOR says, so that it takes at most a tenth of the time.
    Nobody gets a text that was begun before they asked.
    """

    def __init__(self, make: Callable[[], Awaitable[bytes]]) -> None:
        self._make = make
        self._making = asyncio.Lock()
        self._free_at = 0.0
        # The text that has not been begun.
        self._next: asyncio.Task[bytes] | None = None

    async def __call__(self) -> bytes:
        """Return a new text. Raises what the making raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._make_next())
            self._next.add_done_callback(_retrieve)
        # One that goes away does not end what others wait for.
        return await asyncio.shield(self._next)

    async def _make_next(self) -> bytes:
        async with self._making:
            await asyncio.sleep(self._free_at - time.monotonic())
            self._next = None
            began = time.monotonic()
            try:
                return await self._make()
            finally:
                ended = time.monotonic()
                self._free_at = ended + min((ended - began) * PAUSE_FACTOR, MAX_PAUSE_S)


def _retrieve(made: asyncio.Task[bytes]) -> None:
    # For the case that all who waited are gone.
    if not made.cancelled():
        made.exception()

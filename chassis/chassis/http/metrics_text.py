"""The text of `/metrics`. Making it takes a bounded share of the process's time, however often it is requested."""

import asyncio
import time
from collections.abc import Awaitable, Callable

# The pause after making a text, as a multiple of the time it took, and the longest pause.
PAUSE_FACTOR, MAX_PAUSE_S = 9, 1.0


class MetricsText:
    """Makes one text at a time, for all that wait for it.

    After a text as many times its duration pass as PAUSE_FACTOR says, so that it takes at most a tenth of the time.
    Nobody gets a text that was begun before they asked. The argument of `make` is the form of the text: OpenMetrics, or
    that of Prometheus.
    """

    def __init__(self, make: Callable[[bool], Awaitable[bytes]]) -> None:
        self._make = make
        self._making = asyncio.Lock()
        self._free_at = 0.0
        # The text of each form that has not been begun.
        self._next: dict[bool, asyncio.Task[bytes]] = {}

    async def __call__(self, *, open_metrics: bool = False) -> bytes:
        """Return a new text. Raises what the making raises."""
        waiting = self._next.get(open_metrics)
        if waiting is None:
            waiting = self._next[open_metrics] = asyncio.create_task(self._make_next(open_metrics))
            waiting.add_done_callback(_retrieve)
        # One that goes away does not end what others wait for.
        return await asyncio.shield(waiting)

    async def _make_next(self, open_metrics: bool) -> bytes:
        async with self._making:
            await asyncio.sleep(self._free_at - time.monotonic())
            del self._next[open_metrics]
            began = time.monotonic()
            try:
                return await self._make(open_metrics)
            finally:
                ended = time.monotonic()
                self._free_at = ended + min((ended - began) * PAUSE_FACTOR, MAX_PAUSE_S)


def _retrieve(made: asyncio.Task[bytes]) -> None:
    # For the case that all who waited are gone.
    if not made.cancelled():
        made.exception()

"""Timeouts that do not count the time in which the event loop was blocked."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

# A timeout consists of so many steps. A step that the loop ends late is repeated, but only so often in all.
STEPS, MAX_LATE_STEPS = 4, 20


class Steps:
    """Counts the steps of a timeout, and calls `on_step` after each step that ended in time.

    A loop that was blocked has not yet read what arrived meanwhile. So a step that it ends late is repeated: by its end
    the loop has read an answer that was there.
    """

    def __init__(self, seconds: float, on_step: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._step_s = seconds / STEPS
        self._on_step = on_step
        self._late_left = MAX_LATE_STEPS
        self._timer: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        return self._timer is not None

    def start(self) -> None:
        self._late_left = MAX_LATE_STEPS
        self._begin()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        due = self._loop.time() + self._step_s
        self._timer = self._loop.call_at(due, self._end, due)

    def _end(self, due: float) -> None:
        late = self._late_left > 0 and self._loop.time() - due > self._step_s / 2
        self._begin()
        if late:
            self._late_left -= 1
        else:
            self._on_step()


@asynccontextmanager
async def patient(seconds: float) -> AsyncIterator[None]:
    """Raise TimeoutError if the block takes longer than `seconds`, not counting time in which the loop was blocked."""
    left = STEPS

    def on_step() -> None:
        nonlocal left
        left -= 1
        if not left:
            limit.reschedule(asyncio.get_running_loop().time())

    steps = Steps(seconds, on_step)
    async with asyncio.timeout(None) as limit:
        steps.start()
        try:
            yield
        finally:
            steps.stop()

"""What a process says of itself: its version, and how late its event loop comes to what is due."""

import asyncio

from prometheus_client import Info

from chassis import __version__
from chassis.metrics import Histogram

BUILD = Info("gocommerce_build", "The version that runs")
BUILD.info({"version": __version__})
LAG = Histogram(
    "gocommerce_event_loop_lag_seconds",
    "How late the event loop came to a timer, looked at once a second",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
EVERY_S = 1.0


class Reporter:
    """Looks at the event loop until it is stopped."""

    name = "process metrics"

    async def run(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        # A timer: a task would cost ten times as much each second.
        self._timer = loop.call_later(EVERY_S, self._look, loop.time() + EVERY_S)
        await stop.wait()
        self._timer.cancel()

    def _look(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        LAG.labels().observe(max(now - due, 0.0))
        self._timer = loop.call_at(now + EVERY_S, self._look, now + EVERY_S)

"""Wakes the loops whose work is due. One statement looks for the work of all loops, so that no loop has to poll."""

import asyncio

from chassis.db.database import Database
from chassis.loops import Loop
from paymentfc.config import Settings
from paymentfc.repository.due import TOO_SLOW, due

# For what this process was not told of: another one has committed it, and was killed before it did the work. The longer
# time is for a service that has had nothing to do for BUSY_S.
LOOK_S, REST_LOOK_S, BUSY_S = 1.0, 2.0, 60.0
# Steps that follow each other closely leave several audit entries: they are delivered together.
GATHER_S = 0.5
# A round of a loop comes at most so much later than its interval says.
_LATE = 1.1


class Queue:
    """Work of one kind, looked for at least every `interval_s` seconds. `wake` wakes the loop that does it."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self.wake = asyncio.Event()
        self._look_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0

    def wake_in(self, seconds: float) -> None:
        """Wake the loop in so many seconds, unless it is woken sooner."""
        loop = asyncio.get_running_loop()
        at = loop.time() + max(seconds, 0.0)
        if self._timer is not None:
            if self._wakes_at <= at:
                return
            self._timer.cancel()
        self._wakes_at = at
        self._timer = loop.call_at(at, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self.wake.set()

    def looks_by(self, at: float) -> bool:
        """Whether a look is to be taken before that time."""
        return self._look_at < at

    def looked(self, now: float, in_s: float | None) -> None:
        """Record the result of a look: the next item is due in `in_s` seconds."""
        self._look_at = now + self.interval_s
        if in_s is not None and in_s < self.interval_s:
            self.wake_in(in_s)


class DueWork:
    """The queues of this service, and the loop that looks for their work."""

    name = "due work"

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._min_age_s = settings.scheduler_status_min_age_s
        self._automatic = settings.refund_mode == "automatic"
        self.requests = Queue(settings.scheduler_pending_interval_s)
        self.retries = Queue(settings.scheduler_retry_interval_s)
        self.expiry = Queue(settings.scheduler_expiry_interval_s)
        self.status = Queue(settings.scheduler_status_interval_s)
        self.confirmations, self.closings, self.audit, self.refunds = (Queue(REST_LOOK_S) for _ in range(4))
        self._queues = {name: queue for name, queue in vars(self).items() if isinstance(queue, Queue)}
        configured = (self.requests, self.retries, self.expiry, self.status)
        self._rest_s = min(REST_LOOK_S, *(queue.interval_s for queue in configured))
        self._wake = asyncio.Event()
        self._busy_until = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Look every REST_LOOK_S, or as often as the shortest interval asks for, until `stop` is set."""
        await Loop(self.name, self._rest_s, self._look, self._wake).run(stop)

    def noted(self) -> None:
        """Say that steps were taken, which leave audit entries."""
        self.audit.wake_in(GATHER_S)
        self._busy_until = asyncio.get_running_loop().time() + BUSY_S

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        queues = {name: queue for name, queue in self._queues.items() if queue.looks_by(now + self._rest_s * _LATE)}
        try:
            found = await due(self._db, self._min_age_s, automatic_refunds=self._automatic)
        except TOO_SLOW:
            # The statement took too long. One kind of work must not delay the others, so each loop looks for its own.
            for queue in queues.values():
                queue.wake.set()
            raise
        for name, queue in queues.items():
            queue.looked(now, getattr(found, name))
        if now < self._busy_until and self._rest_s > LOOK_S:
            loop.call_later(LOOK_S, self._wake.set)

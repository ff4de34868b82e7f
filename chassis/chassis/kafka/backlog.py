"""The gauges of the outbox, which the active relay sets."""

import time

from prometheus_client import Gauge

from chassis.db import outbox
from chassis.db.outbox import Session

PENDING = Gauge("outbox_pending", "Events committed and not yet acknowledged")
PARKED = Gauge("outbox_parked", "Events parked after the configured tries, tried again every five minutes")

REPORT_S = 1.0


class BacklogGauges:
    """Counts the unpublished events at most once a second, and for at most a tenth of the relay's time."""

    def __init__(self) -> None:
        self._next_report = 0.0

    async def report(self, session: Session) -> None:
        began = time.monotonic()
        if began < self._next_report:
            return
        # A count that exceeds the statement timeout must not end the session: the last values stay.
        if counts := await outbox.counts(session):
            PENDING.set(counts.pending)
            PARKED.set(counts.parked)
        ended = time.monotonic()
        self._next_report = max(began + REPORT_S, ended + 9 * (ended - began))

    def reset(self) -> None:
        """Set the gauges to 0: another replica's relay may be active now, and report the same events."""
        self._next_report = 0.0
        PENDING.set(0)
        PARKED.set(0)

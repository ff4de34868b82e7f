"""Shows the newest run of the auditor as metrics: the auditor itself ends, and can't be asked for them."""

import time
from typing import Protocol

from prometheus_client import Gauge

from console.client.admin_api import NoAnswer
from console.model.audits import AuditRun

EVERY_S = 60.0
COULD_NOT_CHECK = 2

LAST_RUN = Gauge(
    "gocommerce_audit_last_run_timestamp_seconds",
    "When an audit has last ended; without one, since when the console looks for one",
)
VIOLATIONS = Gauge("gocommerce_audit_violations", "Violations that the last audit has found", ["rule"])


class Audits(Protocol):
    """Where the runs of the auditor are read."""

    async def runs(self) -> list[AuditRun]:
        """Return the newest runs, newest first, without their findings. Raises NoAnswer."""

    async def run(self, number: int) -> AuditRun | None:
        """Return one run with its findings; None when the topic does not have it. Raises NoAnswer."""


class AuditWatch:
    """Looks for a run that it has not shown. Without Kafka the metrics stay, so that the last run grows old."""

    def __init__(self, audits: Audits) -> None:
        self._audits = audits
        self._shown = -1
        LAST_RUN.set(time.time())

    async def look(self) -> None:
        """Show the newest run that could read everything, or has found a violation all the same."""
        try:
            runs = await self._audits.runs()
            newest = next((run for run in runs if run.summary.get("exit_code") != COULD_NOT_CHECK), None)
            if newest is None or newest.number == self._shown:
                return
            run = await self._audits.run(newest.number)
        except NoAnswer:
            return
        if run is not None:
            self._show(run)

    def _show(self, run: AuditRun) -> None:
        VIOLATIONS.clear()
        for rule, count in run.violations_by_rule.items():
            VIOLATIONS.labels(rule).set(count)
        LAST_RUN.set(run.ended_at.timestamp())
        self._shown = run.number

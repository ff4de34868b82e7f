"""Shows the newest run of the auditor as metrics: the auditor itself ends, and can't be asked for them."""

import math
import time
from collections.abc import Sequence
from typing import Protocol

from prometheus_client import Gauge

from console.client.admin_api import NoAnswer
from console.model.audits import MAX_RULES, AuditRun

EVERY_S = 60.0

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
    """Looks for runs that it has not shown. Without Kafka the metrics stay, so that the last run grows old.

    A run that could not read everything adds what it has found, and no more: the rules that it left out may be broken.
    """

    def __init__(self, audits: Audits) -> None:
        self._audits = audits
        self._shown = -1
        self._rules: set[str] = set()
        # Unknown until Kafka has answered. Any time would hide an older one that another replica shows.
        self._has_time = False
        LAST_RUN.set(math.nan)

    async def look(self) -> None:
        """Show the newest run that read everything, and what runs after it have found."""
        try:
            for number in _new(await self._audits.runs(), self._shown):
                run = await self._audits.run(number)
                if run is not None:
                    self._show(run)
        except NoAnswer:
            return
        if not self._has_time:
            self._last_run_at(time.time())

    def _show(self, run: AuditRun) -> None:
        if run.is_whole:
            VIOLATIONS.clear()
            self._rules.clear()
            self._last_run_at(run.ended_at.timestamp())
        for rule, count in run.violations_by_rule.items():
            if rule in self._rules or len(self._rules) < MAX_RULES:
                self._rules.add(rule)
                VIOLATIONS.labels(rule).set(count)
        self._shown = run.number

    def _last_run_at(self, moment: float) -> None:
        LAST_RUN.set(moment)
        self._has_time = True


def _new(runs: Sequence[AuditRun], shown: int) -> list[int]:
    """Return the numbers of the runs to show after `shown`, oldest first; `runs` are newest first."""
    # A topic that was made anew numbers its runs from 0.
    first = shown + 1 if runs and runs[0].number >= shown else 0
    whole = next((run.number for run in runs if run.is_whole), 0)
    told = [run.number for run in runs if run.is_whole or run.summary["violations"]]
    return [number for number in reversed(told) if number >= max(first, whole)]

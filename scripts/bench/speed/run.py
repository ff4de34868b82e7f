"""Runs the groups: rounds in turn, a failure of one row for itself, a bound for all."""

import signal
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bench.speed import plan
from bench.speed.errors import OutOfTime
from bench.speed.figures import Sample, rounded, summary, together
from bench.speed.pace import Pace
from bench.speed.rows import Floor, Group, Row
from bench.speed.saga import audit
from bench.speed.side import Side

# The length of an error in the result.
TEXT = 600
MOST_VIOLATIONS = 20


@dataclass
class Run:
    """What is measured on one side, or on two in turn; it keeps what it has when something fails.

    `busy_percent` is what the machine did before anything was started.
    """

    sides: Sequence[Side]
    pace: Pace
    only: Sequence[str]
    progress: Progress
    busy_percent: float = 0.0
    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=lambda: defaultdict(list))
    floors: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    floor_of: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    audits: dict[str, list[str]] = field(default_factory=dict)

    def all(self) -> None:
        """Measure everything that is asked for, within the bound."""
        before, after = plan.chosen(plan.BEFORE_AUDIT, self.only), plan.chosen(plan.AFTER_AUDIT, self.only)
        steps = sum(self._steps(group) for group in (*before, *after))
        task = self.progress.add_task("", total=steps)
        try:
            with _bounded(self.pace.bound_s):
                for group in before:
                    self._group(group, task)
                if any(group.orders for group in before):
                    self._audit(task)
                for group in after:
                    self._group(group, task)
        except (OutOfTime, BaseExceptionGroup):
            # A group of tasks wraps it.
            reason = f"the bound of {self.pace.bound_s:.0f} s was reached first"
            for row in (row for group in (*before, *after) for row in group.rows):
                if not self._measured(row):
                    self.errors.setdefault(row.name, reason)
            self.progress.console.print(f"[red]{reason}: what was measured until then is kept[/]")

    def _measured(self, row: Row) -> bool:
        return any(self.samples.get((side.name, row.name)) for side in self.sides)

    def _steps(self, group: Group) -> int:
        rounds = sum(1 if row.once else self.pace.rounds for row in group.rows) * len(self.sides)
        return rounds + len(group.floors) * self.pace.rounds

    def _group(self, group: Group, task: TaskID) -> None:
        names = ", ".join(row.name for row in group.rows)
        self.progress.update(task, description=f"preparing {names}")
        self.floor_of |= {row.name: row.floor for row in group.rows}
        for side in self.sides:
            if not self._try(names, partial(group.prepare, side, self.pace), group.rows):
                self.progress.advance(task, self._steps(group))
                return
        for number in range(self.pace.rounds):
            self._round(group, number, task)
        for side in self.sides:
            self._try(names, partial(group.finish, side, self.pace), group.rows)

    def _round(self, group: Group, number: int, task: TaskID) -> None:
        for name, floor in group.floors.items():
            self.progress.update(task, description=f"{name}, round {number + 1}")
            self._try(name, partial(self._measure_floor, name, floor))
            self.progress.advance(task)
        for row in group.rows:
            if row.once and number:
                continue
            # The one that comes first alternates, too.
            for side in self.sides[:: -1 if number % 2 else 1]:
                shown = f"{row.name} {side.name}".strip()
                self.progress.update(task, description=f"{shown}, round {number + 1} of {self.pace.rounds}")
                if row.name not in self.errors:
                    self._try(row.name, partial(self._measure, row, side), [row])
                self.progress.advance(task)

    def _measure_floor(self, name: str, floor: Floor) -> None:
        self.floors[name].append(floor(self.sides[0], self.pace))

    def _measure(self, row: Row, side: Side) -> None:
        sample = row.measure(side, self.pace)
        self.samples[(side.name, row.name)].append(sample)
        shown = ", ".join(f"{name} {rounded(value):,g}" for name, value in sample.figures.items())
        self.progress.console.print(f"{row.name} {side.name}: {shown}".replace(" :", ":"))

    def _try(self, name: str, work: Callable[[], object], rows: Sequence[Row] = ()) -> bool:
        """Do some work. When it fails, its rows keep the reason, and the others go on."""
        try:
            work()
        except Exception as error:
            text = self._without_paths(str(error) or type(error).__name__)[:TEXT]
            self.progress.console.print(f"[red]{name} could not be measured:[/]", escape(text))
            self.errors |= {row.name: text for row in rows} or {name: text}
            return False
        return True

    def _without_paths(self, text: str) -> str:
        """A result is committed: it names no folder of this machine."""
        for side in self.sides:
            text = text.replace(str(side.home), "(stack)").replace(str(side.root), "(checkout)")
        return text

    def _audit(self, task: TaskID) -> None:
        for side in self.sides:
            self.progress.update(task, description="waiting for rest, then the audit")
            self._try("audit", partial(self._audit_one, side))
            found = self.audits.get(side.name, ["it did not end"])
            self.progress.console.print(f"audit {side.name}: {'exact' if not found else f'{len(found)} violations'}")

    def _audit_one(self, side: Side) -> None:
        self.audits[side.name] = [self._without_paths(line)[:TEXT] for line in audit(side)[:MOST_VIOLATIONS]]

    def as_json(self) -> dict[str, Any]:
        """Return what was measured: rows of each side, floors, errors, audits."""
        rows: dict[str, dict[str, Any]] = {side.name: {} for side in self.sides}
        for (side, name), samples in self.samples.items():
            if samples:
                rows[side][name] = together(samples) | {"floor": self._floor(name)}
        return {
            "rows": rows,
            "floors": {name: summary(values) for name, values in self.floors.items() if values},
            "errors": self.errors,
            "audits": self.audits,
            "busy_percent_before": rounded(self.busy_percent),
        }

    def _floor(self, row: str) -> dict[str, Any] | None:
        name = self.floor_of.get(row)
        values = self.floors.get(name or "")
        return {"name": name, "rate": rounded(statistics.median(values))} if values else None


@contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in the block when it takes longer."""

    def end(_number: int, _frame: object) -> None:
        raise OutOfTime

    previous = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def progress_bar(console: Console) -> Progress:
    """Return a bar that stays below what is printed."""
    columns = (BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=console, transient=True)

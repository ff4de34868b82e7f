"""`make profile ROW=checkout`: run the load of one row, look into its service with py-spy, and name what takes time."""

import logging
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.speed import plan
from bench.speed.errors import Unmeasured
from bench.speed.pace import FULL, Pace
from bench.speed.results import PASSING
from bench.speed.rows import Group, Row
from bench.speed.seed import seed
from bench.speed.side import Side

RATE, TOP = 200, 25
START_S, POLL_S = 60, 0.02
# Where the output goes to a file or a pipe, its width is unknown.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 180)


class Sampler(threading.Thread):
    """Runs py-spy beside the load: for the flame graph, then for the counts. It waits for the service to run."""

    def __init__(self, side: Side, service: str, seconds: float, folder: Path, row: str) -> None:
        super().__init__(daemon=True)
        self._side = side
        self._service = service
        self._seconds = seconds
        self.graph, self.stacks = folder / f"profile-{row}.svg", folder / f"profile-{row}.txt"
        self.problem = ""

    def run(self) -> None:
        """Write both files."""
        for kind, path in (("flamegraph", self.graph), ("raw", self.stacks)):
            if not self.problem:
                self.problem = self._record(kind, path)

    def _record(self, kind: str, path: Path) -> str:
        deadline = time.monotonic() + START_S
        while (pid := self._side.processes.pids().get(self._service)) is None:
            if time.monotonic() > deadline:
                return f"{self._service} did not run"
            time.sleep(POLL_S)
        program = Path(sys.executable).with_name("py-spy")
        command = [str(program), "record", "--pid", str(pid), "--format", kind, "--output", str(path)]
        command += ["--duration", str(max(round(self._seconds), 1)), "--rate", str(RATE), "--nonblocking"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=self._seconds + 60, check=False)
        # It complains as well when the service ends first, and has written the file all the same.
        return "" if path.exists() and path.stat().st_size else f"py-spy: {done.stderr.strip()[-300:]}"


def functions(stacks: Iterable[str]) -> list[tuple[str, float, float]]:
    """Read py-spy's counts: `a (f.py:1);b (g.py:2) 17`. Return functions with their shares, alone and inclusive.

    The order is that of the inclusive shares, the largest first.
    """
    alone: Counter[str] = Counter()
    inclusive: Counter[str] = Counter()
    for line in stacks:
        frames, _, count = line.rstrip().rpartition(" ")
        names = [_without_line(frame) for frame in frames.split(";") if frame]
        if names and count.isdecimal():
            alone[names[-1]] += int(count)
            for name in set(names):
                inclusive[name] += int(count)
    total = alone.total() or 1
    return [(name, alone[name] / total, count / total) for name, count in inclusive.most_common()]


def _without_line(frame: str) -> str:
    """`checkout (orderfc/usecase/checkout.py:70)` without the number: the lines of a function belong together."""
    head, colon, tail = frame.rpartition(":")
    return f"{head})" if colon and tail.rstrip(")").isdecimal() else frame


def found(name: str) -> tuple[Group, Row]:
    """Return a row and its group. Raises Unmeasured for an unknown name."""
    for group in plan.chosen((*plan.BEFORE_AUDIT, *plan.AFTER_AUDIT), [name]):
        return group, group.rows[0]
    raise Unmeasured("name one row")


def profile(name: str, seconds: float) -> Sampler:
    """Run the load of a row again and again until py-spy has seen enough. Raises Unmeasured."""
    group, row = found(name)
    pace = replace(FULL, load_s=seconds, search_s=seconds, login_s=seconds, steady_s=seconds, idle_s=seconds)
    PASSING.mkdir(parents=True, exist_ok=True)
    with ExitStack() as closing:
        side = Side()
        closing.callback(side.down)
        console.print("starting a stack")
        side.up()
        seed(side)
        console.print(f"preparing {name}")
        group.prepare(side, pace)
        sampler = Sampler(side, row.service, seconds, PASSING, name)
        console.print(f"looking into {row.service} for 2 x {seconds:g} s")
        sampler.start()
        _load_while(sampler, row, side, pace)
    if sampler.problem:
        raise Unmeasured(sampler.problem)
    return sampler


def _load_while(sampler: Sampler, row: Row, side: Side, pace: Pace) -> None:
    deadline = time.monotonic() + 600
    while sampler.is_alive() and time.monotonic() < deadline:
        sample = row.measure(side, pace)
        console.print(", ".join(f"{name} {value:.4g}" for name, value in sample.figures.items()))


def main(
    row: Annotated[str, typer.Argument(help="A row of the table.")],
    seconds: Annotated[float, typer.Option(min=1, max=120)] = 10,
) -> None:
    """Write a flame graph and print the functions that take most of the time of a row's service."""
    logging.disable(logging.CRITICAL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    try:
        sampler = profile(row, seconds)
    except Unmeasured as error:
        console.print(f"[red]{escape(str(error))}[/]")
        raise typer.Exit(1) from None
    shares = functions(sampler.stacks.read_text(encoding="utf-8").splitlines())
    _show("by what they do themselves", sorted(shares, key=lambda share: -share[1]))
    _show("with what they call", shares)
    console.print(f"flame graph: {sampler.graph}")


def _show(title: str, shares: list[tuple[str, float, float]]) -> None:
    table = Table("alone", "inclusive", "function", box=None, title=title, title_justify="left")
    for name, alone, inclusive in shares[:TOP]:
        table.add_row(f"{alone:.1%}", f"{inclusive:.1%}", name)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)

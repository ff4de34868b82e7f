"""`make bench`: measure, print the table beside its targets, and keep the result. `report` writes the page anew."""

import logging
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.markup import escape

from bench.speed import plan, report, results
from bench.speed.compare import checked_out
from bench.speed.errors import Unmeasured
from bench.speed.pace import PACES
from bench.speed.run import Run, progress_bar
from bench.speed.seed import seed
from bench.speed.side import Side

# Where the output goes to a file or a pipe, its width is unknown.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 180)
BEFORE_S = 2
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("run")
def run(
    only: Annotated[str, typer.Option(help="Only these rows, with commas.")] = "",
    pace: Annotated[str, typer.Option(help=f"One of {', '.join(PACES)}.")] = "full",
    compare: Annotated[str, typer.Option(help="A commit to measure beside this checkout.")] = "",
    record: Annotated[Path | None, typer.Option(help="The folder of the result.")] = None,
) -> None:
    """Measure every row, or some, on a stack of its own."""
    logging.disable(logging.CRITICAL)
    for number in STOPS:
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    began = time.monotonic()
    try:
        names = plan.words(only)
        plan.chosen(plan.BEFORE_AUDIT, names)
        measured, sides = measure(names, pace, compare)
    except Unmeasured as error:
        console.print(f"[red]{escape(str(error))}[/]")
        raise typer.Exit(1) from None
    command = shlex.join(["make", "bench", *_variables(names, pace, compare)])
    result = results.record(measured, command, pace, time.monotonic() - began)
    passing = pace != "full" or compare
    path = results.save(result, record or (results.PASSING if passing else results.FOLDER))
    if path.parent == results.FOLDER:
        report.write()
    if compare:
        report.compared(result, (sides[0], sides[1]), console)
    else:
        report.show(result, console)
    violations = [line for found in result["audits"].values() for line in found]
    for line in violations:
        console.print("[red]audit:[/]", escape(line))
    console.print(f"{result['seconds']} s, the result is {path}")
    if violations or result["errors"]:
        raise typer.Exit(1)


def _variables(names: Sequence[str], pace: str, compare: str) -> list[str]:
    variables = ["QUICK=1"] if pace == "quick" else [f"PACE={pace}"] if pace != "full" else []
    variables += [f"ONLY={','.join(names)}"] if names else []
    return [*variables, *([f"COMPARE={compare}"] if compare else [])]


def measure(only: Sequence[str], pace: str, compare: str) -> tuple[dict[str, Any], list[str]]:
    """Start one stack or two, measure, and stop them whatever happens. Raises Unmeasured when none can be started."""
    if shutil.which("wrk") is None:
        raise Unmeasured("wrk is not installed: make tools (Debian: apt-get install wrk)")
    if pace not in PACES:
        raise Unmeasured(f"no pace is named {pace!r}: {', '.join(PACES)}")
    busy_percent = psutil.cpu_percent(BEFORE_S)
    with ExitStack() as closing:
        other = closing.enter_context(checked_out(compare)) if compare else None
        sides = [Side("this" if other else "")]
        closing.callback(_down, sides[0])
        if other:
            sides.append(Side(other.commit, other.root, other.python))
            closing.callback(_down, sides[1])
        progress = closing.enter_context(progress_bar(console))
        for side in sides:
            starting = progress.add_task(f"starting a stack {side.name}".rstrip(), total=None)
            side.up()
            seed(side)
            progress.remove_task(starting)
        run_ = Run(sides, PACES[pace], only, progress, busy_percent)
        run_.all()
        return run_.as_json(), [side.name for side in sides]


def _down(side: Side) -> None:
    """Stop a stack; a second signal does not interrupt that."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    side.down()


@app.command("report")
def write_report() -> None:
    """Write docs/evidence/bench.md and its picture from the results that are kept."""
    report.write()
    console.print(f"written: {report.PAGE}")


if __name__ == "__main__":
    app()

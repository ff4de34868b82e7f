"""`docs/evidence/bench.md`: the last run, the first one and the Go original's figures side by side."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.speed.picture import draw
from bench.speed.results import FOLDER, kept
from bench.speed.targets import FLOORS, LINES, MEASURED_BEFORE, Line
from fc.stack.layout import ROOT

PAGE = ROOT / "docs" / "evidence" / "bench.md"
PICTURE = ROOT / "docs" / "img" / "one-order.svg"
NONE = "-"
# The processes in the table of CPU, in this order; others are left out.
PARTS = ("userfc", "productfc", "orderfc", "paymentfc", "postgres", "redis", "kafka", "mongo")
Result = Mapping[str, Any]


def found(result: Result, line: Line) -> tuple[dict[str, Any], float | None] | None:
    """Return the summary of a line's figure in a result, and the rate of its floor, or None if it was not measured."""
    row = result["rows"].get("", {}).get(line.row)
    if not row or line.figure not in row["figures"]:
        return None
    floor: dict[str, Any] = (row["floor"] if line.figure == "rate" else None) or {}
    right = line.floor in ("", floor.get("name"))
    return row["figures"][line.figure], floor.get("rate") if right else None


def shown(value: float | None) -> str:
    """Write a number with the digits that it was measured with: 23,303 or 8.7."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def cells(line: Line, first: Result | None, last: Result | None) -> list[str]:
    """Return the cells of a line of the table."""
    newest, oldest = (found(result, line) if result else None for result in (last, first))
    unit = "" if line.unit.startswith("/") else f" {line.unit}"
    spread, floor = newest if newest else (None, None)
    now = f"{shown(spread['median'])} ({shown(spread['min'])}-{shown(spread['max'])}){unit}" if spread else NONE
    share = f"{spread['median'] / floor:.2f}" if spread and floor else NONE
    wanted = [
        f"{value} of {line.floor}" if line.floor and value is not None else shown(value)
        for value in (line.must, line.goal)
    ]
    before = oldest[0]["median"] if oldest else None
    return [line.title, shown(line.go), shown(line.before), shown(before), now, share, *wanted, _verdict(line, newest)]


def _verdict(line: Line, newest: tuple[dict[str, Any], float | None] | None) -> str:
    if newest is None:
        return NONE
    value, floor = newest[0]["median"], newest[1]
    if line.met(value, floor, line.goal):
        return "goal"
    met = line.met(value, floor, line.must)
    return NONE if met is None else "yes" if met else "no"


HEAD = ("path", "Go", "before", "first", "last (spread)", "of floor", "must", "goal", "met")


def table(results: Sequence[Result]) -> Iterator[list[str]]:
    """Yield the rows of the table: of each line the first and the last result that has it."""
    for line in LINES:
        having = [result for result in results if found(result, line)]
        yield cells(line, having[0] if having else None, having[-1] if having else None)


def page(results: Sequence[Result]) -> str:
    """Return the text of the page."""
    lines = [
        "# How fast it is",
        "",
        "Made by `python -m bench.speed report` from the results of `make bench` in `scripts/bench/results`;",
        "[performance.md](../performance.md) says what each row measures. Rates are per second. A spread is the",
        "smallest and the largest of the rounds.",
        "",
        f"Go (tuned) and before: measured by hand on {MEASURED_BEFORE}, in alternating rounds on one machine of",
        "2 cores, with this project at 451b0eb. First and last: the oldest and the newest result of `make bench` with",
        "the row.",
        "",
        _row(HEAD),
        _row(["---"] * len(HEAD)),
        *map(_row, table(results)),
        "",
        *(f"- {name}: {text}." for name, text in FLOORS.items()),
        "",
    ]
    lines += [*_one_order(results), *_cpu(results), *_runs(results)]
    return "\n".join(lines)


def _row(cells_: Sequence[str]) -> str:
    return f"| {' | '.join(cells_)} |"


def _newest(results: Sequence[Result], row: str) -> Mapping[str, Any] | None:
    return next((one["rows"][""][row] for one in reversed(results) if row in one["rows"].get("", {})), None)


def _one_order(results: Sequence[Result]) -> Iterator[str]:
    yield from ("## Where the time of one order goes", "")
    if all(_newest(results, name) for name in ("steady", "burst")):
        yield from (f"![Steps and CPU of one order](../img/{PICTURE.name})", "")
    yield "The steps are the times that the databases have recorded, and what the client saw, of the row `steady`; the"
    yield from ("CPU is that of the row `burst`.", "")


def _cpu(results: Sequence[Result]) -> Iterator[str]:
    yield from (
        "## CPU per request, order or event",
        "",
        "Microseconds of each process, of the last run that has the row.",
    )
    yield from ("", _row(["row", *PARTS]), _row(["---"] * (len(PARTS) + 1)))
    for name in dict.fromkeys(line.row for line in LINES):
        row = _newest(results, name)
        if row and row["cpu_us"]:
            yield _row([name, *(shown(row["cpu_us"].get(part)) for part in PARTS)])
    yield ""


def _runs(results: Sequence[Result]) -> Iterator[str]:
    yield from ("## Runs", "")
    if not results:
        yield "No run has been kept yet."
    for result in results:
        on = result["machine"]
        audits = [line for found_ in result["audits"].values() for line in found_]
        unread = [line for line in audits if line.startswith("not read: ")]
        audit = f"audit: violations {len(audits) - len(unread)}, sources not read {len(unread)}"
        audit = "no audit" if not result["audits"] else "audit exact" if not audits else audit
        yield (
            f"- {result['date']}, commit {result['commit']}, `{result['command']}`, {result['seconds']} s, {audit};"
            f" {on['cores']} cores of {on['cpu']}, {on['memory_gib']} GiB, Linux {on['kernel']}, Python {on['python']};"
            f" the machine was {result['busy_percent_before']:g} % busy before it."
        )
        yield from (f"  Not measured: {name}: {' '.join(why.split())[:200]}" for name, why in result["errors"].items())
    yield ""


def show(result: Result, console: Console) -> None:
    """Print the table of one result."""
    printed = Table(*HEAD[:3], *HEAD[4:], box=None)
    for line in LINES:
        if found(result, line):
            one = cells(line, None, result)
            printed.add_row(*one[:3], *one[4:])
    console.print(printed)
    for name, why in result["errors"].items():
        console.print(f"[red]not measured:[/] {name}:", escape(why))


def compared(result: Result, names: tuple[str, str], console: Console) -> None:
    """Print the figures of two sides and their ratio."""
    printed = Table("path", *names, "ratio", "spread of the two", box=None)
    for line in LINES:
        sides = [result["rows"].get(name, {}).get(line.row, {}).get("figures", {}).get(line.figure) for name in names]
        if None not in sides:
            one, other = sides
            spreads = ", ".join(f"{shown(side['min'])}-{shown(side['max'])}" for side in sides)
            ratio = f"{one['median'] / other['median']:.2f}" if other["median"] else NONE
            printed.add_row(line.title, shown(one["median"]), shown(other["median"]), ratio, spreads)
    console.print(printed)


def write(folder: Path = FOLDER, page_: Path = PAGE, picture: Path = PICTURE) -> None:
    """Write the page, and the picture when there is a result with its rows."""
    results = kept(folder)
    page_.write_text(page(results), encoding="utf-8")
    steady, burst = (_newest(results, name) for name in ("steady", "burst"))
    if steady and burst:
        picture.write_text(draw(steady["shares"], burst["cpu_us"]), encoding="utf-8")

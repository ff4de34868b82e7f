"""`fc audit`: finds what the four databases, Kafka, MongoDB and Xendit do not agree on, order by order."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from fc.audit.report import Finding, Report
from fc.audit.rules import RULES
from fc.audit.rules.rule import KAFKA, MONGO, XENDIT, Level
from fc.audit.run import Limits, run_audit
from fc.audit.watch import Unwatched, Watch
from fc.platform.errors import CouldNotCheck
from fc.platform.sources import Sources
from fc.stack import compose
from fc.stack.errors import StackError
from fc.stack.layout import Layout

CLEAN, VIOLATED, COULD_NOT_CHECK = 0, 1, 2
console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Bar:
    """A bar for each part of the work, on a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def stage(self, name: str, total: int | None = None) -> None:
        """Replace the bar."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(name, total=total)

    def advance(self, count: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.advance(self._task, count)


def _bar(stack: ExitStack) -> Watch:
    if not errors.is_terminal:
        return Unwatched()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Bar(stack.enter_context(Progress(*columns, console=errors, transient=True)))


@app.command()
def audit(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per finding, then the summary.")] = False,
    quiesce: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="First wait so long until nothing is on its way any more."),
    ] = None,
    grace: Annotated[float, typer.Option(min=0, help="Seconds that databases may differ by.")] = Limits.grace_s,
    webhook: Annotated[float, typer.Option(min=0, help="Seconds that a lost callback may take.")] = Limits.webhook_s,
    stuck: Annotated[float, typer.Option(min=0, help="Seconds that work may lie undone.")] = Limits.stuck_s,
    skip: Annotated[list[str] | None, typer.Option(help="Do not read kafka, mongo or xendit.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(metavar="RULE", help="Do not check a rule.")] = None,
    show: Annotated[int, typer.Option(min=1, help="How many findings of a rule are shown.")] = 20,
    list_rules: Annotated[bool, typer.Option("--rules", help="List the rules and stop.")] = False,
) -> None:
    """Check that all stores tell the same story, changing nothing.

    Exit code 0: no violation; 1: violations; 2: something could not be read.
    """
    if list_rules:
        _list_rules()
        return
    try:
        sources = _without(_here(), skip or [])
        unknown = sorted(set(ignore or []) - set(RULES))
        if unknown:
            raise typer.BadParameter(f"no rule is called {', '.join(unknown)}; --rules lists them")
        report = _run(sources, quiesce, Limits(grace, webhook, stuck), ignore or [], _line if as_json else None)
    except (CouldNotCheck, StackError) as error:
        if as_json:
            _put({"summary": {"error": str(error), "exit_code": COULD_NOT_CHECK}})
        else:
            errors.print(f"[bold red]fc audit:[/] {escape(str(error))}")
        raise typer.Exit(COULD_NOT_CHECK) from None
    if as_json:
        _put({"summary": report.summary()})
    else:
        _print(report, show)
    raise typer.Exit(report.exit_code)


def _here() -> Sources:
    return Sources.of_compose() if compose.engine() else Sources.of_stack(Layout.from_environment())


def _without(sources: Sources, skip: list[str]) -> Sources:
    if unknown := sorted(set(skip) - {KAFKA, MONGO, XENDIT}):
        raise typer.BadParameter(f"--skip takes {KAFKA}, {MONGO} and {XENDIT}, not {', '.join(unknown)}")
    return Sources(
        sources.databases,
        None if KAFKA in skip else sources.kafka,
        None if MONGO in skip else sources.mongo,
        None if XENDIT in skip else sources.xendit,
    )


def _run(
    sources: Sources, quiesce_s: float | None, limits: Limits, ignore: list[str],
    on_finding: Callable[[Finding], None] | None,
) -> Report:  # fmt: skip
    with ExitStack() as stack:
        watch = _bar(stack)
        return asyncio.run(
            run_audit(
                sources, quiesce_s=quiesce_s, limits=limits, ignore=ignore, watch=watch, on_finding=on_finding
            )
        )  # fmt: skip


def _put(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def _line(finding: Finding) -> None:
    _put(finding.shown())


def _list_rules() -> None:
    table = Table("rule", "level", "reads", "holds", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for rule in RULES.values():
        table.add_row(rule.code, str(rule.level), ", ".join(sorted(rule.needs)), rule.sentence)
    console.print(table)


def _print(report: Report, show: int) -> None:
    for code, count in sorted(
        report.counts.items(), key=lambda item: (RULES[item[0]].level is not Level.VIOLATION, item[0])
    ):
        rule = RULES[code]
        colour, sign = ("red", "✗") if rule.level is Level.VIOLATION else ("yellow", "!")
        console.print(f"[{colour}]{sign} {code}[/] {escape(rule.sentence)} [dim]{rule.level}, {count}[/]")
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
        kept = [finding for finding in report.findings if finding.rule == code]
        for finding in kept[:show]:
            values = (finding.subject, f"expected {finding.expected}", f"found {finding.found}")
            table.add_row(*map(escape, values), f"[dim]since {_moment(finding.since)}[/]")
        console.print(table)
        if count > show:
            console.print(f"    [dim]and {count - show} more[/]")
    for source, reason in report.unread.items():
        console.print(f"[red]? {source} could not be read:[/] {escape(reason)}")
    _print_sum(report)


def _print_sum(report: Report) -> None:
    left_out = f", without {', '.join(report.skipped)}" if report.skipped else ""
    told = f"{report.orders} orders, {report.rules} rules{left_out}, {report.seconds:.1f} s"
    parts = [
        f"{report.violations} violations",
        f"{report.attention} for attention",
        f"{report.in_flight.total()} in flight",
    ]
    colour = {CLEAN: "green", VIOLATED: "red", COULD_NOT_CHECK: "yellow"}[report.exit_code]
    console.print(f"[bold {colour}]{', '.join(parts)}[/] [dim]({told})[/]")


def _moment(since: datetime | None) -> str:
    if since is None:
        return "unknown"
    age = datetime.now(UTC) - since
    return f"{since:%Y-%m-%d %H:%M:%S} UTC ({str(age).split('.', maxsplit=1)[0]} ago)"


if __name__ == "__main__":
    # Libraries report each failure to connect; what matters is said by our own errors.
    logging.disable(logging.CRITICAL)
    app()

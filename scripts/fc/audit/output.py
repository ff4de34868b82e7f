"""The output of `fc audit`: findings by rule for people, one JSON object per line for programs, and a progress bar."""

import json
import sys
from contextlib import ExitStack
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from fc.audit.report import Report
from fc.audit.rules.rule import RULES, Level
from fc.audit.watch import Unwatched, Watch

COLOURS = {0: "green", 1: "red", 2: "yellow"}
"""Exit code -> colour of the last line."""
console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


class _Bar:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def stage(self, name: str, total: int | None = None) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(name, total=total)

    def advance(self, count: int) -> None:
        if self._task is not None:
            self._progress.advance(self._task, count)


def progress_bar(stack: ExitStack) -> Watch:
    """Show a bar for each stage of the work until `stack` is closed; nothing unless standard error is a terminal."""
    if not errors.is_terminal:
        return Unwatched()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return _Bar(stack.enter_context(Progress(*columns, console=errors, transient=True)))


def print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def print_rules() -> None:
    table = Table("rule", "level", "reads", "holds", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for rule in RULES.values():
        table.add_row(rule.code, str(rule.level), ", ".join(sorted(rule.needs)), rule.sentence)
    console.print(table)


def print_report(report: Report, show: int) -> None:
    """Print the findings by rule, violations first and at most `show` of each rule, then the totals."""
    for code in sorted(report.counts, key=lambda code: (RULES[code].level is not Level.VIOLATION, code)):
        _print_rule(report, code, show)
    for source, reason in report.unread.items():
        console.print(f"[red]? {source} could not be read:[/] {escape(reason)}")
    _print_totals(report)


def _print_rule(report: Report, code: str, show: int) -> None:
    rule, count = RULES[code], report.counts[code]
    colour, sign = ("red", "✗") if rule.level is Level.VIOLATION else ("yellow", "!")
    console.print(f"[{colour}]{sign} {code}[/] {escape(rule.sentence)} [dim]{rule.level}, {count}[/]")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    for finding in [finding for finding in report.findings if finding.rule == code][:show]:
        values = (finding.subject, f"expected {finding.expected}", f"found {finding.found}")
        table.add_row(*map(escape, values), f"[dim]since {_moment(finding.since, report.now)}[/]")
    console.print(table)
    if count > show:
        console.print(f"    [dim]and {count - show} more[/]")


def _print_totals(report: Report) -> None:
    skipped = f", without {', '.join(report.skipped)}" if report.skipped else ""
    scope = f"{report.orders} orders, {report.rules} rules{skipped}, {report.seconds:.1f} s"
    totals = [
        f"{report.violations} violations",
        f"{report.attention} for attention",
        f"{report.in_flight.total()} in flight",
    ]
    console.print(f"[bold {COLOURS[report.exit_code]}]{', '.join(totals)}[/] [dim]({scope})[/]")


def _moment(since: datetime | None, now: datetime) -> str:
    if since is None:
        return "unknown"
    return f"{since:%Y-%m-%d %H:%M:%S} UTC ({str(now - since).split('.', maxsplit=1)[0]} ago)"

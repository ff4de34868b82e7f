"""`fc audit`: compares the four databases, Kafka, MongoDB, Redis and Xendit, order by order."""

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from fc.audit import textfile
from fc.audit.output import errors, print_json, print_report, print_rules, progress_bar
from fc.audit.patience import Limits
from fc.audit.publish import publish
from fc.audit.report import Finding, Report
from fc.audit.rules import RULES
from fc.audit.rules.rule import KAFKA, MONGO, REDIS, XENDIT
from fc.audit.run import run_audit
from fc.platform.errors import CouldNotCheck
from fc.platform.sources import Sources
from fc.stack.errors import StackError
from fc.stack.programs import developer_settings

COULD_NOT_CHECK = 2
# A year.
MAX_S = 31_536_000
_PUBLISH = typer.Option("--publish", help="Put the report on the topic operations.audits, for the console.")
_TEXTFILE = typer.Option("--textfile", help="Write metrics here, for node-exporter's textfile collector.")


def _seconds(text: str) -> Any:
    return typer.Option(min=0, max=MAX_S, help=text)


def audit(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per finding, then the totals.")
    ] = False,
    quiesce: Annotated[
        float | None,
        typer.Option(min=0, max=MAX_S, metavar="SECONDS", help="First wait so long for the platform to rest."),
    ] = None,
    grace: Annotated[float, _seconds("Seconds that a message may be in flight.")] = Limits.grace_s,
    webhook: Annotated[float, _seconds("Seconds until a lost callback is found.")] = Limits.webhook_s,
    stuck: Annotated[float, _seconds("Seconds that due work may wait.")] = Limits.stuck_s,
    skip: Annotated[list[str] | None, typer.Option(help="Do not read kafka, mongo, redis or xendit.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(metavar="RULE", help="Do not check this rule.")] = None,
    show: Annotated[int, typer.Option(min=1, help="Number of findings shown per rule.")] = 20,
    file: Annotated[Path | None, _TEXTFILE] = None,
    to_console: Annotated[bool, _PUBLISH] = False,
    list_rules: Annotated[bool, typer.Option("--rules", help="List the rules and exit.")] = False,
) -> None:
    """Check that all stores agree about every order; changes nothing.

    Exit code 0: no violation; 1: violations; 2: something could not be read.
    """
    if list_rules:
        print_rules()
        return
    _check(skip or [], ignore or [], to_console=to_console)
    try:
        limits, sources = Limits(grace, webhook, stuck, _outbox_days()), _without(Sources.here(), skip or [])
        report = _run(sources, quiesce, limits, ignore or [], as_json=as_json)
        print_json({"summary": report.summary()}) if as_json else print_report(report, show)
        if file is not None and report.exit_code != COULD_NOT_CHECK:
            textfile.write(file, report, ignore or [])
        if to_console:
            asyncio.run(publish(sources, report))
    except (CouldNotCheck, StackError) as error:
        _print_failure(str(error), as_json=as_json)
        raise typer.Exit(COULD_NOT_CHECK) from None
    raise typer.Exit(report.exit_code)


def _check(skip: list[str], ignore: list[str], *, to_console: bool) -> None:
    if unknown := sorted(set(ignore) - set(RULES)):
        raise typer.BadParameter(f"no rule is called {', '.join(unknown)}; --rules lists them")
    if to_console and (skip or ignore):
        # The report would say of rules that it has not checked that they are kept.
        raise typer.BadParameter("--publish takes neither --skip nor --ignore: the alerts need a run of all rules")


def _outbox_days() -> int:
    given = developer_settings().get("OUTBOX_KEEP_DAYS", str(Limits.outbox_days))
    try:
        return int(given)
    except ValueError:
        raise StackError(f"OUTBOX_KEEP_DAYS should be a number of days, got {given!r:.80}") from None


def _print_failure(text: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"summary": {"error": text, "exit_code": COULD_NOT_CHECK}})
    else:
        errors.print(f"[bold red]fc audit:[/] {escape(text)}")


def _without(sources: Sources, skip: list[str]) -> Sources:
    if unknown := sorted(set(skip) - {KAFKA, MONGO, REDIS, XENDIT}):
        raise typer.BadParameter(f"--skip takes {KAFKA}, {MONGO}, {REDIS} and {XENDIT}, not {', '.join(unknown)}")
    left_out: dict[str, Any] = dict.fromkeys(skip)
    return replace(sources, **left_out)


def _run(sources: Sources, quiesce_s: float | None, limits: Limits, ignore: list[str], *, as_json: bool) -> Report:
    on_finding = _print_finding if as_json else None
    with ExitStack() as stack:
        watch = progress_bar(stack)
        audit_run = run_audit(
            sources, quiesce_s=quiesce_s, limits=limits, ignore=ignore, watch=watch, on_finding=on_finding
        )
        return asyncio.run(audit_run)


def _print_finding(finding: Finding) -> None:
    print_json(finding.as_json())

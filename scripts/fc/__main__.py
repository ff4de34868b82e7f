"""The `fc` command: the platform on this machine, started, looked at, filled, demonstrated and stopped."""

import asyncio
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fc.audit.cli import audit
from fc.demo import stories as demo
from fc.demo.seed import seed as fill
from fc.ops import dlq, outbox
from fc.ops.stuck import stuck
from fc.stack import compose, doctor, logs
from fc.stack.compose import Compose
from fc.stack.errors import StackError
from fc.stack.layout import Layout
from fc.stack.local import Stack

app = typer.Typer(
    help="Go Commerce in Python: the whole platform on this machine.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False,
)  # fmt: skip
console = Console(highlight=False, soft_wrap=True)


def _stack() -> Stack:
    return Stack(Layout.from_environment())


def _here() -> Stack | Compose:
    """Give the stack that this machine runs: docker compose where an engine answers."""
    return Compose() if compose.engine() else _stack()


def _say(what: str, seconds: float) -> None:
    console.print(f"  [green]✓[/] {what} [dim]{seconds:.1f} s[/]")


def _up(stack: Stack | Compose) -> None:
    began = time.monotonic()
    if isinstance(stack, Compose):
        stack.up()
    else:
        doctor.refuse_missing(stack.layout)
        with _progress():
            started = stack.up(_say)
        if not started:
            console.print("The stack is already running, all four services are ready.")
            if stack.outdated():
                console.print(
                    "[yellow]Settings have changed since it was started:[/] `fc down` and `fc up` apply them."
                )
            return
    console.print(f"[bold green]The stack is up[/], all four services are ready ({time.monotonic() - began:.1f} s).")


@contextmanager
def _progress() -> Iterator[None]:
    """Show that work goes on, where a person watches."""
    if not console.is_terminal:
        yield
        return
    with console.status("starting"):
        yield


def _addresses(stack: Stack | Compose) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, url in stack.urls().items():
        table.add_row(name, url if name == "xendit" else f"{url}/docs")
    table.add_section()
    for name, (email, password) in stack.accounts().items():
        table.add_row(f"login: {name}", f"{email} / {password}")
    console.print(table)


@app.command()
def up() -> None:
    """Start everything; returns when all four services are ready."""
    stack = _here()
    _up(stack)
    _addresses(stack)


@app.command()
def down(wipe: Annotated[bool, typer.Option(help="Remove all data and logs, too.")] = False) -> None:
    """Stop everything; the data stays unless it is wiped."""
    stack = _here()
    if isinstance(stack, Compose):
        stack.down(wipe=wipe)
        return
    console.print("Stopped." if stack.down() else "Nothing was running.")
    if wipe:
        stack.wipe()
        console.print(f"Removed all data below {escape(str(stack.home))}.")


@app.command()
def status() -> None:
    """Show what runs, since when and where; exit code 1 unless all of it does."""
    stack = _here()
    if isinstance(stack, Compose):
        stack.run("ps")
        return
    table = Table("part", "state", "pid", "since", "port", box=None, header_style="dim", padding=(0, 2, 0, 0))
    rows = stack.status()
    for row in rows:
        colour = "green" if row.state == "running" else "red"
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row.since)) if row.since else ""
        pid = str(row.pid) if row.pid else ""
        table.add_row(row.name, f"[{colour}]{row.state}[/]", pid, since, str(row.port))
    console.print(table)
    console.print(f"[dim]data, logs and generated configuration: {escape(str(stack.home))}[/]")
    if any(row.state != "running" for row in rows):
        raise typer.Exit(1)


@app.command("logs")
def show_logs(
    names: Annotated[
        list[str] | None, typer.Argument(help="Parts, for example orderfc; all when none is named.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines of each.")] = 20,
) -> None:
    """Show the logs, one line of JSON each, with the part's name before it."""
    stack = _here()
    if isinstance(stack, Compose):
        stack.run("logs", "--tail", str(lines), *(["--follow"] if follow else []), *(names or ()))
        return
    known = [row.name for row in stack.status()]
    unknown = sorted(set(names or ()) - set(known))
    if unknown:
        raise StackError(f"no part is named {', '.join(unknown)}; there are {', '.join(known)}")
    logs.show({name: stack.layout.log(name) for name in names or known}, lines=lines, follow=follow)


@app.command("doctor")
def show_doctor() -> None:
    """Show what was found on this machine, and what stands in for what; exit code 1 when something is missing."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for _ in range(4):
        table.add_column(overflow="fold")
    found = doctor.findings(Layout.from_environment())
    for item in found:
        sign = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[dim]-[/]"}[item.ok]
        table.add_row(sign, item.part, escape(item.found), f"[dim]{item.advice}[/]")
    console.print(table)
    if any(item.ok is False for item in found):
        raise typer.Exit(1)


@app.command("seed")
def run_seed() -> None:
    """Make an administrator, two customers and twenty products in four categories; what is there stays."""
    stack = _here()
    made = asyncio.run(fill(stack.urls(), stack.accounts()))
    console.print(f"Seeded: {made} rows made." if made else "Seeded already.")


@app.command("topics")
def make_topics() -> None:
    """Create the topics and their dead letter topics, with KAFKA_PARTITIONS and KAFKA_REPLICATION."""
    stack = _here()
    if isinstance(stack, Compose):
        stack.make_topics()
        return
    created = stack.make_topics()
    console.print(f"Created: {', '.join(created)}" if created else "All topics exist already.")


app.command()(audit)
app.command()(stuck)
app.add_typer(dlq.app, name="dlq")
app.add_typer(outbox.app, name="outbox")


@app.command("demo")
def run_demo() -> None:
    """Start the stack, seed it, and tell five stories on it, each checked; exit code 1 when a check fails."""
    stack = _here()
    _up(stack)
    made = asyncio.run(fill(stack.urls(), stack.accounts()))
    console.print(f"Seeded: {made} rows made." if made else "Seeded already.")
    failures = asyncio.run(demo.tell(stack.urls(), stack.accounts(), console))
    console.print()
    if failures:
        console.print("[bold red]The demo found what should not be:[/]")
        for failure in failures:
            console.print(f"  [red]✗[/] {failure}")
        console.print("`fc logs` shows what the services say; `fc down` stops them.")
        raise typer.Exit(1)
    console.print("[bold green]Every story ended as it should.[/] The stack goes on running; `make down` stops it.")
    _addresses(stack)


def main() -> None:
    """Run `fc`; what a person has to put right is one message and exit code 1."""
    # Libraries report each try to reach a server that is still starting; what matters is said by our own errors.
    logging.disable(logging.CRITICAL)
    try:
        app()
    except StackError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]fc:[/] {escape(str(error))}")
        sys.exit(1)


if __name__ == "__main__":
    main()

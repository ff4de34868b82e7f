"""The `fc` command: starts, inspects, seeds, demonstrates and stops the platform on this machine."""

import asyncio
import codecs
import io
import logging
import os
import subprocess
import sys
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fc.audit.cli import audit
from fc.demo import stories
from fc.demo.seed import seed
from fc.ops import clock, dlq, outbox
from fc.ops.capacity import capacity
from fc.ops.order import order
from fc.ops.stuck import stuck
from fc.ops.topics import topics
from fc.ops.trace import trace
from fc.stack import deployment, doctor
from fc.stack.accounts import ADMIN
from fc.stack.deployment import Deployment
from fc.stack.errors import StackError
from fc.stack.layout import CONSOLE, SIMULATOR, Layout

app = typer.Typer(
    help="Go Commerce in Python: the whole platform on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# A table that is folded to fewer columns can't be read; a narrow terminal wraps its lines.
MIN_WIDTH = 72
# What is written for a sign that the encoding of the output lacks.
PLAIN = {"✓": "+", "✗": "x", "→": "->", "×": "x"}
console = Console(highlight=False, soft_wrap=True)
console.width = max(console.width, MIN_WIDTH)


def _here() -> Deployment:
    return deployment.here(console)


def _up(platform: Deployment, *, observed: bool = False, traced: bool = False) -> None:
    began = time.monotonic()
    if platform.up(observed=observed, traced=traced):
        seconds = time.monotonic() - began
        console.print(f"[bold green]The stack is up[/], all four services are ready ({seconds:.1f} s).")


def _show_addresses(platform: Deployment) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, url in platform.urls().items():
        table.add_row(name, url if name == SIMULATOR else f"{url}/docs")
    for name, url in platform.observed().items():
        table.add_row(name, url)
    table.add_section()
    for name, (email, password) in platform.accounts().items():
        is_own = name == "admin" and password != ADMIN["ADMIN_PASSWORD"]
        table.add_row(f"login: {name}", escape(f"{email} / {'the ADMIN_PASSWORD that is set' if is_own else password}"))
    console.print(table)


@app.command()
def up(
    brokers: Annotated[
        int | None, typer.Option(help="Kafka brokers of a new stack, 1 or 3; kept with its data.", show_default="1")
    ] = None,
    observed: Annotated[
        bool, typer.Option("--observe", help="Also keep and show logs and metrics; `make observe` prepares it.")
    ] = False,
    traced: Annotated[bool, typer.Option("--traces", help="Also record traces; the console shows them.")] = False,
) -> None:
    """Start the platform; returns when all four services are ready."""
    platform = deployment.here(console, brokers)
    _up(platform, observed=observed, traced=traced)
    _show_addresses(platform)


@app.command()
def down(wipe: Annotated[bool, typer.Option(help="Also remove all data and logs.")] = False) -> None:
    """Stop the platform; its data stays unless --wipe is given."""
    _here().down(wipe=wipe)


@app.command()
def status() -> None:
    """Show the state, start time and port of each part. Exit code 1 unless all of them run."""
    if not _here().status():
        raise typer.Exit(1)


@app.command()
def logs(
    names: Annotated[list[str] | None, typer.Argument(help="Parts, for example orderfc. Default: all.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show new lines until interrupted.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Number of lines per part.")] = 20,
) -> None:
    """Show the end of the logs, each line after the name of its part."""
    _here().logs(names or (), lines=lines, follow=follow)


@app.command("doctor")
def show_doctor() -> None:
    """Check this machine for the programs that the stack needs. Exit code 1 when one is missing."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for _ in range(4):
        table.add_column(overflow="fold")
    findings = doctor.findings(Layout.from_environment())
    for item in findings:
        sign = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[dim]-[/]"}[item.ok]
        table.add_row(sign, item.part, escape(item.found), f"[dim]{item.advice}[/]")
    console.print(table)
    if any(item.ok is False for item in findings):
        raise typer.Exit(1)


def _seed(platform: Deployment) -> None:
    rows = asyncio.run(seed(platform.urls(), platform.accounts()))
    console.print(f"Seeded: {rows} rows created." if rows else "Seeded already.")


@app.command("seed")
def run_seed() -> None:
    """Create two customers and twenty products in four categories; rows that exist stay as they are."""
    _seed(_here())


app.command()(audit)
app.command()(topics)
app.command()(order)
app.command()(stuck)
app.command()(trace)
app.command()(capacity)
app.add_typer(clock.app, name="clock")
app.add_typer(dlq.app, name="dlq")
app.add_typer(outbox.app, name="outbox")


@app.command("demo")
def run_demo(
    traced: Annotated[bool, typer.Option("--traces", help="Also record traces; the console shows them.")] = False,
) -> None:
    """Start and seed the platform and run six stories on it, each with checks. Exit code 1 when a check fails."""
    platform = _here()
    _up(platform, traced=traced)
    _seed(platform)
    pages = platform.observed()[CONSOLE]
    failures = asyncio.run(stories.run(platform.urls(), platform.accounts(), console, pages))
    console.print()
    if failures:
        console.print("[bold red]The demo failed:[/]")
        for failure in failures:
            console.print(f"  [red]✗[/] {escape(failure)}")
        console.print("`fc logs` shows the logs of the services; `fc down` stops them.")
        raise typer.Exit(1)
    console.print("[bold green]All six stories passed.[/] The stack keeps running; `make down` stops it.")
    console.print(f"Log in at {pages} as admin, run `make demo` again, and see the stories happen.")
    _show_addresses(platform)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


def main() -> None:
    """Run `fc`. A StackError or a refusal of the operating system is printed as one message; the exit code is 1."""
    # Libraries log every attempt to reach a server that is still starting; StackError names the failures that matter.
    logging.disable(logging.CRITICAL)
    for name in [name for name in os.environ if name.startswith("PG")]:
        # PGSSLMODE, PGTARGETSESSIONATTRS and others are for the databases of this shell, not for the stack's.
        del os.environ[name]
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error("plain", _plain)
        sys.stdout.reconfigure(errors="plain")
    try:
        app()
    except (StackError, OSError, subprocess.SubprocessError) as error:
        sentence = escape(str(error) or type(error).__name__)
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]fc:[/] {sentence}")
        sys.exit(1)


if __name__ == "__main__":
    main()

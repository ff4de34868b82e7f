"""The local stack for the command line: the calls of `Stack` with their output on the console."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chassis.config.settings import ServiceSettings
from fc.stack import doctor, logs, observe
from fc.stack.accounts import Accounts
from fc.stack.errors import StackError
from fc.stack.layout import CONSOLE
from fc.stack.local import Part, Stack


class Native:
    """The stack of native processes in the folder that FC_HOME names."""

    def __init__(self, stack: Stack, console: Console) -> None:
        self._stack = stack
        self._console = console

    def urls(self) -> dict[str, str]:
        return self._stack.urls()

    def accounts(self) -> Accounts:
        """Return the accounts of a seeded stack, with the administrator of its settings."""
        return self._stack.accounts()

    def observed(self) -> dict[str, str]:
        return {CONSOLE: self._stack.layout.url(CONSOLE)} | observe.urls(self._stack.layout)

    def up(self, *, observed: bool = False, traced: bool = False) -> bool:
        """Start the programs that do not run, with a line for each step. Returns False when all ran already."""
        doctor.refuse_missing(self._stack.layout)
        with self._spinner():
            started = self._stack.up(self._report, observed=observed, traced=traced)
        if not started:
            self._console.print("The stack is already running, all four services are ready.")
            if self._stack.outdated():
                self._console.print(
                    "[yellow]Settings have changed since it was started:[/] `fc down` and `fc up` apply them."
                )
        return started

    def _report(self, step: str, seconds: float) -> None:
        self._console.print(f"  [green]✓[/] {step} [dim]{seconds:.1f} s[/]")

    @contextmanager
    def _spinner(self) -> Iterator[None]:
        if not self._console.is_terminal:
            yield
            return
        with self._console.status("starting"):
            yield

    def down(self, *, wipe: bool) -> None:
        self._console.print("Stopped." if self._stack.down() else "Nothing was running.")
        if wipe:
            self._stack.wipe()
            self._console.print(f"Removed all data and logs in {escape(str(self._stack.home))}.")

    def status(self) -> bool:
        """List the programs. Returns whether all of them run."""
        table = Table("part", "state", "pid", "since", "port", box=None, header_style="dim", padding=(0, 2, 0, 0))
        parts = self._stack.status()
        for part in parts:
            table.add_row(*_cells(part))
        self._console.print(table)
        if any(part.state == "unsupervised" for part in parts):
            self._console.print("[yellow]The supervisor has ended:[/] `fc up` starts everything again.")
        self._console.print(f"[dim]data, logs and generated configuration: {escape(str(self._stack.home))}[/]")
        return all(part.state == "running" for part in parts)

    def logs(self, names: Collection[str], *, lines: int, follow: bool) -> None:
        """Show the end of the programs' logs, of all of them without names. Raises StackError for an unknown name."""
        known = self._stack.programs.names()
        unknown = sorted(set(names) - set(known))
        if unknown:
            raise StackError(f"no part is named {', '.join(unknown)}; there are {', '.join(known)}")
        files = {name: self._stack.layout.log(name) for name in names or known}
        logs.show(files, lines=lines, follow=follow)

    def kafka(self) -> ServiceSettings:
        """Return settings with which the topics are reached. Raises StackError while no broker answers."""
        return self._stack.kafka()


def _cells(part: Part) -> tuple[str, str, str, str, str]:
    colour = "green" if part.state == "running" else "red"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(part.since)) if part.since else ""
    return part.name, f"[{colour}]{part.state}[/]", str(part.pid) if part.pid else "", since, str(part.port)

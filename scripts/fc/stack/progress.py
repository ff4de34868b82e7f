"""The start of the containers as it is shown: a line for each that is healthy or done, and what is waited for."""

import time
from collections.abc import Mapping

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from fc.stack.containers import SETTLED, STARTING, WAITING, Container, Project

POLL_S = 0.2


class Progress:
    """Follows a project from one `show` to the next; containers that stay as they were in `before` are left out."""

    def __init__(self, console: Console, project: Project, before: Mapping[str, Container]) -> None:
        self._console = console
        self._before = before
        self._began = time.monotonic()
        self._names = sorted(project.services | project.jobs)
        self._seen = dict(before)
        self._since: dict[str, float] = {}
        self._building: str | None = ""
        self._live = Live(self, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Progress":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def said(self, line: str) -> None:
        """Take the last line that compose has printed: it is shown until a container changes."""
        if self._building is not None:
            self._building = line

    def show(self, containers: Mapping[str, Container]) -> None:
        """Print a line for each container that has become healthy or has done its job since the last call."""
        now = time.monotonic()
        changed = [one for name, one in sorted(containers.items()) if not one.is_as(self._before.get(name))]
        if changed and self._building is not None:
            self._building = None
            self._say("images built", now - self._began)
        for one in changed:
            self._move(one, now)

    def _move(self, one: Container, now: float) -> None:
        if one.is_as(self._seen.get(one.name)):
            return
        self._seen[one.name] = one
        if one.state != WAITING:
            self._since.setdefault(one.id, now)
        if one.state in SETTLED:
            self._say(f"{one.name} {one.state}", now - self._since[one.id])

    def _say(self, step: str, seconds: float) -> None:
        self._console.print(f"  [green]✓[/] {escape(step)} [dim]{seconds:.1f} s[/]")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw what is waited for: compose itself, or each container that is not settled, with its seconds."""
        now = time.monotonic()
        if self._building is not None:
            yield Text(f"  … images {now - self._began:.0f} s  {self._building}"[: options.max_width], "dim")
            return
        for name in self._names:
            one = self._seen.get(name, Container(name, "", WAITING))
            if one.state not in SETTLED:
                seconds = now - self._since.get(one.id, self._began)
                style = {WAITING: "dim", STARTING: "yellow"}.get(one.state, "red")
                yield Text(f"  … {name} {one.state} {seconds:.0f} s", style)

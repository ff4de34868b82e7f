"""How the platform runs on this machine: in containers where a Docker engine answers, else as native processes."""

from collections.abc import Collection
from typing import Protocol

from rich.console import Console

from chassis.config.settings import ServiceSettings
from fc.stack import compose
from fc.stack.accounts import Accounts
from fc.stack.brokers import choose
from fc.stack.compose import Compose
from fc.stack.layout import Layout
from fc.stack.local import Stack
from fc.stack.native import Native


class Deployment(Protocol):
    """The commands that `fc` offers for both; each prints its own progress and raises StackError when it fails."""

    def urls(self) -> dict[str, str]:
        """Return the HTTP addresses of the services and of `xendit`."""

    def accounts(self) -> Accounts:
        """Return the accounts of the platform once it is seeded."""

    def observed(self) -> dict[str, str]:
        """Return the pages that show what the platform does, by name, where they run."""

    def up(self, *, observed: bool = False, traced: bool = False) -> bool:
        """Start everything and wait until all four services are ready. Returns False when everything ran already.

        `observed` adds what keeps and shows logs, metrics and traces; `traced` has traces shown without that.
        """

    def down(self, *, wipe: bool) -> None:
        """Stop everything; `wipe` removes the data too."""

    def status(self) -> bool:
        """Show the parts. Returns False when one of them is known not to run."""

    def logs(self, names: Collection[str], *, lines: int, follow: bool) -> None:
        """Show the last lines of the named parts, of all parts without names."""

    def kafka(self) -> ServiceSettings:
        """Return settings with which the topics are reached, as this platform is meant to have them."""


def here(console: Console, brokers: int | None = None) -> Deployment:
    """Return the deployment of this machine, of so many brokers; None: of those that were chosen for its data."""
    if compose.engine():
        return Compose(console, brokers)
    layout = Layout.from_environment()
    if brokers is not None:
        choose(layout, brokers)
    return Native(Stack(layout, console=True), console)

"""`fc clock`: shows by how much the clock of the local stack is ahead, and moves it forward."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated

import typer

from chassis import clock
from chassis.auth.tokens import LIFETIME_S
from fc.ops import output
from fc.stack import compose
from fc.stack.clock import StackClock, seconds
from fc.stack.errors import StackError
from fc.stack.layout import Layout
from fc.stack.local import Stack
from fc.stack.lock import locked

app = typer.Typer(help="Show the clock of the local stack, or move it forward; it is never set back. Development only.")


def _stack() -> Stack:
    """Return the local stack. Raises StackError where it has no clock of its own."""
    if compose.engine():
        raise StackError("containers have the clock of their machine: `fc clock` is for a stack of FC_NATIVE=1")
    return Stack(Layout.from_environment())


def _refuse(stack: Stack) -> None:
    """Raise StackError unless everything that runs would follow the clock."""
    if stack.programs.in_production:
        raise StackError("ENVIRONMENT=production is set: the clock moves in development only")
    if not stack.programs.simulated:
        raise StackError("XENDIT_BASE_URL is set, and that Xendit has a clock of its own: only the simulator follows")
    if not stack.supervisor.running:
        raise StackError("the stack does not run: `fc up` starts it")


@contextmanager
def followed() -> Iterator[None]:
    """Have this process follow the clock of the local stack in the block. Raises StackError."""
    path = Stack(Layout.from_environment()).programs.clock.path
    # Containers have the clock of their machine, and a stack that was never started has none.
    follows = not compose.engine() and path.exists()
    try:
        clock.follow(str(path) if follows else "")
    except ValueError as error:
        raise StackError(f"the clock of this stack can't be read: {path} {error}") from error
    try:
        yield
    finally:
        clock.follow("")


def _state(shown: StackClock) -> str:
    ahead = f"{timedelta(seconds=shown.ahead_s)} ahead of the machine's" if shown.ahead_s else "the machine's"
    return f"The clock of this stack is {ahead}: {shown.now():%Y-%m-%d %H:%M:%S} UTC."


@app.callback(invoke_without_command=True)
def show(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        output.console.print(_state(_stack().programs.clock))


@app.command()
def advance(by: Annotated[str, typer.Argument(metavar="TIME", help="1s to 90d, for example 30m, 24h or 7d.")]) -> None:
    """Move the clock forward by TIME: invoices expire, retries become due, and old rows are deleted."""
    by_s, stack = seconds(by), _stack()
    with locked(stack.home):
        _refuse(stack)
        asyncio.run(stack.programs.clock.advance(by_s))
    output.console.print(_state(stack.programs.clock))
    if by_s > LIFETIME_S:
        output.say("Tokens that were given before have ended: log in again.")

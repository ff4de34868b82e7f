"""`fc stuck`: the orders that wait, with the step, the duration, the reason and the next command."""

import asyncio
from collections import Counter
from typing import Annotated

import typer
from rich.markup import escape

from fc.ops import facts, output
from fc.ops.waits import Step, waits
from fc.platform.sources import Sources

COLUMNS = ("order", "step", "for", "because", "next")
OLDER_THAN_S = 30.0


def stuck(
    older_than: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Leave out orders that have waited for less.")
    ] = OLDER_THAN_S,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List the orders that wait, the step that each waits for, and what to do; changes nothing."""
    state = asyncio.run(facts.gather(Sources.here()))
    waiting = waits(state, older_than)
    if as_json:
        output.put_json(wait.as_json(state.now) for wait in waiting)
    else:
        output.put_rows(
            COLUMNS,
            [
                (wait.order_id, wait.step, output.age(wait.since, state.now), wait.because, wait.next)
                for wait in waiting
            ],
        )
        counts = Counter(wait.step is Step.CUSTOMER for wait in waiting)
        output.say(f"[bold]{counts[False]} need attention, {counts[True]} wait for their customers[/]")
    if state.unread:
        output.say(f"[yellow]Without dead letters:[/] {escape(state.unread)}")

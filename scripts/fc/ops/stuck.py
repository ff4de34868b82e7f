"""`fc stuck`: the orders that wait, for what, since when, why, and what to do next."""

import asyncio
from collections import Counter
from typing import Annotated

import typer
from rich.markup import escape

from fc.ops import facts, places, shown
from fc.ops.waits import Step, waits

COLUMNS = ("order", "step", "for", "because", "next")
OLDER_THAN_S = 30.0


def stuck(
    older_than: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="What waits for less is left out.")] = OLDER_THAN_S,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:  # fmt: skip
    """List the orders that wait, the one step of each that is to blame, and what to do; changes nothing."""
    found = asyncio.run(facts.gather(places.here()))
    waiting = waits(found, older_than)
    if as_json:
        shown.put_json(wait.shown(found.now) for wait in waiting)
    else:
        shown.put_rows(
            COLUMNS,
            [(wait.order_id, wait.step, shown.age(wait.since, found.now), wait.because, wait.next) for wait in waiting],
        )
        counts = Counter(wait.step is Step.CUSTOMER for wait in waiting)
        shown.say(f"[bold]{counts[False]} need a look, {counts[True]} wait for their customers[/]")
    if found.unread:
        shown.say(f"[yellow]Without dead letters:[/] {escape(found.unread)}")

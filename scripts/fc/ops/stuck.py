"""`fc stuck`: the orders that wait, with the step, the duration, the reason and the next command."""

import asyncio
from collections import Counter
from typing import Annotated

import typer
from rich.markup import escape

from console.client.backlog import Backlog
from console.client.kafka import KafkaReader
from console.client.kafka_records import KafkaRecords
from console.client.letter_box import LetterBox
from console.model.steps import Step
from console.model.unfinished import Unfinished
from console.model.waits import waits
from console.usecase.gather_unfinished import gather_unfinished
from fc.ops import output
from fc.ops.administrator import admin_api
from fc.ops.clock import followed
from fc.ops.kafka_records import CLIENT_ID
from fc.ops.origin import Origin
from fc.ops.read_unfinished import read_unfinished
from fc.platform.sources import Sources

COLUMNS = ("order", "step", "for", "because", "next")
OLDER_THAN_S = 30.0


def stuck(
    older_than: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Leave out orders that have waited for less.")
    ] = OLDER_THAN_S,
    origin: Annotated[
        Origin, typer.Option("--from", help="Read the databases, or ask the services as the console does.")
    ] = Origin.DATABASES,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List the orders that wait, the step that each waits for, and what to do; changes nothing."""
    with followed():
        unfinished = asyncio.run(read_unfinished(Sources.here()) if origin is Origin.DATABASES else _ask_services())
    waiting = waits(unfinished, older_than)
    if as_json:
        output.put_json(wait.as_json() for wait in waiting)
    else:
        output.put_rows(
            COLUMNS,
            [
                (wait.order_id, wait.step, output.age(wait.since, unfinished.now), wait.because, wait.next)
                for wait in waiting
            ],
        )
        counts = Counter(wait.step is Step.CUSTOMER for wait in waiting)
        output.say(f"[bold]{counts[False]} need attention, {counts[True]} wait for their customers[/]")
    for source, reason in sorted(unfinished.unread.items()):
        output.say(f"[yellow]Without {source}:[/] {escape(reason)}")
    for line in unfinished.cut:
        output.say(f"[yellow]{escape(line)}[/]")


async def _ask_services() -> Unfinished:
    """Ask the services as the console does."""
    kafka = Sources.here().kafka_client()
    reader = KafkaReader(**kafka, client_id=CLIENT_ID)
    letters = LetterBox(KafkaRecords(CLIENT_ID, **kafka))
    try:
        async with admin_api() as api:
            return await gather_unfinished(api, Backlog(reader), letters)
    finally:
        await letters.close()
        await reader.close()

"""`fc order`: the life of one order over all services, as the console shows it."""

import asyncio
import os
from typing import Annotated

import typer

from console.client.kafka_records import KafkaRecords
from console.client.letter_box import LetterBox
from console.client.order_records import OrderRecords
from console.model import text
from console.model.facts import Facts
from console.model.timeline import as_json as timeline_json
from console.model.timeline import timeline
from console.usecase.gather_order import gather_order
from fc.ops import output
from fc.ops.administrator import admin_api
from fc.ops.clock import followed
from fc.platform.sources import Sources
from fc.stack.errors import StackError


def order(
    order_id: Annotated[int, typer.Argument(min=1, metavar="ORDER", help="The number of the order.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the life of an order: what happened where, what is missing, and what it waits for."""
    with followed():
        facts = asyncio.run(_gather(order_id))
    if facts.is_empty:
        raise StackError(f"no service knows order {order_id}")
    shown = timeline(facts)
    if as_json:
        output.put_json([timeline_json(shown)])
        return
    output.put_lines(text.lines(shown))


async def _gather(order_id: int) -> Facts:
    kafka, client_id = Sources.here().kafka_client(), f"fc-order-{os.getpid()}"
    records = OrderRecords(**kafka, client_id=client_id)
    letters = LetterBox(KafkaRecords(client_id, **kafka))
    try:
        async with admin_api() as api:
            return await gather_order(api, records, order_id, letters)
    finally:
        await letters.close()
        await records.close()

"""`fc order`: the life of one order over all services, as the console shows it."""

import asyncio
import os
from typing import Annotated

import httpx2
import typer
from rich.console import Console

from console.client.admin_api import AdminApi, Refused
from console.client.event_log import EventLog
from console.model import text
from console.model.facts import Facts
from console.model.timeline import as_json as timeline_json
from console.model.timeline import timeline
from console.usecase.order_timeline import order_timeline
from fc.ops import output
from fc.platform.sources import Sources
from fc.stack import deployment
from fc.stack.errors import StackError

LOGIN_S = 10


def order(
    order_id: Annotated[int, typer.Argument(min=1, metavar="ORDER", help="The number of the order.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the life of an order: what happened where, what is missing, and what it waits for."""
    facts = asyncio.run(_gather(order_id))
    if facts.is_empty:
        raise StackError(f"no service knows order {order_id}")
    shown = timeline(facts)
    if as_json:
        output.put_json([timeline_json(shown)])
        return
    output.put_lines(text.lines(shown))


async def _gather(order_id: int) -> Facts:
    here = deployment.here(Console())
    urls, kafka = here.urls(), Sources.here().kafka
    email, password = here.accounts()["admin"]
    log = EventLog(bootstrap_servers=kafka or "localhost:29092", client_id=f"fc-order-{os.getpid()}")
    try:
        async with httpx2.AsyncClient(timeout=LOGIN_S) as http:
            token = await _token(http, urls["userfc"], email, password)
            return await order_timeline(AdminApi(http, urls, token), log, order_id)
    except Refused as error:
        raise StackError(f"{error}: the administrator of the settings may not read this platform") from error
    finally:
        await log.close()


async def _token(http: httpx2.AsyncClient, url: str, email: str, password: str) -> str:
    try:
        answer = await http.post(f"{url}/v1/login", json={"email": email, "password": password})
        answer.raise_for_status()
        return str(answer.json()["token"])
    except (httpx2.HTTPError, ValueError, KeyError) as error:
        raise StackError(
            f"userfc gives no token for {email} ({type(error).__name__}); `fc status` shows what runs"
        ) from error

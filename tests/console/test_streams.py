"""The streams of live pages: how many there may be, and that none of them holds up a stop."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import httpx2
import pytest
from playwright.async_api import expect

from console.handler.watches import MAX_VIEWERS
from fc.demo.shop import Shop
from fc.stack.layout import CONSOLE
from fc.stack.local import Stack
from testkit.proxy import Proxy
from tests.console.kit.heard import Heard
from tests.console.kit.operator import Desk
from tests.kit import processes
from tests.kit.back_office import BackOffice

pytestmark = pytest.mark.e2e

# From SIGTERM to the end of the process, with all streams or with none.
STOP_S = 6
# A browser connects again, and an order is completed.
AGAIN_S = 10


async def test_all_streams_end_at_once_when_a_console_stops_and_a_browser_goes_on_with_the_other_one(
    desk: Desk, stack: Stack, shop: Shop, back_office: BackOffice
) -> None:
    payer = await shop.newcomer()
    order = await payer.checkout(await back_office.product(3), 1)
    invoice = (await payer.invoice(order))["invoice_id"]
    async with (
        processes.replica(stack, "console") as replica,
        Proxy("127.0.0.1", int(replica.url.rpartition(":")[2])) as balancer,
        desk.plain(replica.url) as http,
        replace(desk, url=f"http://localhost:{balancer.port}").operator() as operator,
        AsyncExitStack() as exits,
    ):
        await operator.open(f"/orders/{order}")
        await expect(operator.page.locator("html")).to_have_attribute("data-live", "on")
        heard = await Heard.listen(operator.page)
        # New connections go to either console from here on, and to the other one when this has stopped.
        balancer.share([stack.layout.port(CONSOLE)])
        firsts = [await _stream(http, exits, f"/live/orders/{order}") for _ in range(MAX_VIEWERS - 1)]
        assert all(await asyncio.gather(*(anext(first) for first in firsts)))
        assert (await http.get(f"/live/orders/{order}")).status_code == 503
        assert (await http.get(f"/orders/{order}")).status_code == 200
        begun = time.monotonic()
        replica.signal(signal.SIGTERM)
        await asyncio.gather(*(_rest(first) for first in firsts))
        assert await replica.exit_code() == 0
        assert time.monotonic() - begun < STOP_S
        await shop.pay(invoice)
        await expect(operator.page.locator("#head .status")).to_have_text("completed", timeout=AGAIN_S * 1000)
        assert await heard.states() <= {"on"}
        await operator.page.get_by_role("link", name="Orders", exact=True).click()
        await operator.until(str(order))


async def _stream(http: httpx2.AsyncClient, exits: AsyncExitStack, path: str) -> AsyncIterator[bytes]:
    answer = await exits.enter_async_context(http.stream("GET", path))
    assert answer.status_code == 200
    return answer.aiter_bytes()


async def _rest(stream: AsyncIterator[bytes]) -> None:
    async for _ in stream:
        pass

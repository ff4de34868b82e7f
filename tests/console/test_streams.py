"""The streams of live pages: how many there may be, and that none of them holds up a stop."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx2
import pytest

from console.handler.watches import MAX_VIEWERS
from fc.demo.shop import Shop
from fc.stack.local import Stack
from tests.console.kit.operator import Desk
from tests.kit import processes
from tests.kit.back_office import BackOffice

pytestmark = pytest.mark.e2e

# From SIGTERM to the end of the process, with all streams or with none.
STOP_S = 6


async def test_all_streams_end_at_once_when_the_console_stops(
    desk: Desk, stack: Stack, shop: Shop, back_office: BackOffice
) -> None:
    order = await (await shop.newcomer()).checkout(await back_office.product(3), 1)
    async with (
        processes.replica(stack, "console") as replica,
        desk.plain(replica.url) as http,
        AsyncExitStack() as exits,
    ):
        firsts = [await _stream(http, exits, f"/live/orders/{order}") for _ in range(MAX_VIEWERS)]
        assert all(await asyncio.gather(*(anext(first) for first in firsts)))
        assert (await http.get(f"/live/orders/{order}")).status_code == 503
        assert (await http.get(f"/orders/{order}")).status_code == 200
        begun = time.monotonic()
        replica.signal(signal.SIGTERM)
        await asyncio.gather(*(_rest(first) for first in firsts))
        assert await replica.exit_code() == 0
        assert time.monotonic() - begun < STOP_S


async def _stream(http: httpx2.AsyncClient, exits: AsyncExitStack, path: str) -> AsyncIterator[bytes]:
    answer = await exits.enter_async_context(http.stream("GET", path))
    assert answer.status_code == 200
    return answer.aiter_bytes()


async def _rest(stream: AsyncIterator[bytes]) -> None:
    async for _ in stream:
        pass

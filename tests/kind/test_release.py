"""The chart installed in a cluster: an order, an upgrade under load, and the way back.

`make test-kind`, which needs kubectl, helm, a cluster and the images in it. A forwarded port ends with the pod that it
leads to, so a customer repeats what was not answered with the same key: no order may be lost or placed twice by that.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from chassis.loops import wait_any
from fc.demo.seed import seed
from fc.demo.shop import Shop, poll
from fc.stack.accounts import ACCOUNTS
from fc.stack.errors import StackError
from tests.compose.kit.orders import order_through
from tests.kind.kit.cluster import reached, rollback, upgrade

CUSTOMERS = 3
# Each places one order, so that none is limited; more than an upgrade leaves time for.
BUYERS = 60
PAUSE_S = 1.0
PATIENCE_S = 120
PRODUCT = "Notebook A5"


@pytest.fixture(scope="module")
async def shop() -> AsyncIterator[Shop]:
    """The seeded shop of the release."""
    await asyncio.to_thread(upgrade)
    with reached() as urls:
        await answered(lambda: seed(urls, ACCOUNTS))
        async with Shop.opened(urls, ACCOUNTS) as opened:
            yield opened


async def answered(call: Callable[[], Awaitable[Any]]) -> Any:
    """Repeat a call that may be repeated until a forwarded port leads to a pod."""

    async def answer() -> list[Any]:
        try:
            return [await call()]
        except (httpx2.TransportError, StackError):
            return []

    return (await poll(answer, "the forwarded ports answer", PATIENCE_S, 0.5))[0]


@asynccontextmanager
async def customers(shop: Shop) -> AsyncIterator[list[int]]:
    """Order until the block ends, each order from checkout to completed; yields the orders so far."""
    buyers = [await answered(shop.newcomer) for _ in range(BUYERS)]
    product = await answered(lambda: shop.product(PRODUCT))
    done: list[int] = []
    stop = asyncio.Event()

    async def buy() -> None:
        while buyers and not stop.is_set():
            done.append(await order_through(shop, buyers.pop(), product))
            # Spread over the whole block.
            await wait_any(PAUSE_S, stop)

    async with asyncio.TaskGroup() as group:
        for _ in range(CUSTOMERS):
            group.create_task(buy())
        try:
            yield done
        finally:
            stop.set()


async def test_an_order_is_paid_and_completed(shop: Shop) -> None:
    await order_through(shop, await answered(shop.newcomer), await answered(lambda: shop.product(PRODUCT)))


@pytest.mark.parametrize("step", [lambda: upgrade("settings.LOG_LEVEL=DEBUG"), rollback], ids=["upgrade", "rollback"])
async def test_no_order_is_lost_while_all_pods_are_replaced(shop: Shop, step: Callable[[], None]) -> None:
    before = (await answered(lambda: shop.product(PRODUCT)))["stock"]
    async with customers(shop) as done:
        await asyncio.to_thread(step)
    assert len(set(done)) == len(done) > CUSTOMERS
    after = (await answered(lambda: shop.product(PRODUCT)))["stock"]
    assert before - after == len(done), "each order has taken its piece, once"

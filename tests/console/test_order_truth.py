"""The page of an order and the truth: no row is missing, none is invented, whatever became of the order."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from fc.demo import stories
from fc.demo.shop import Customer, Shop, poll
from fc.platform.sources import Sources
from tests.console.kit.operator import Desk
from tests.console.kit.truth import told, truth
from tests.kit.back_office import BackOffice
from tests.kit.bus import Bus

pytestmark = pytest.mark.e2e

SEED = 1311
ORDERS = 50
AT_ONCE = 5

Fate = Callable[[Shop, Customer, int], Awaitable[None]]


async def _unpaid(_shop: Shop, payer: Customer, order: int) -> None:
    await payer.invoice(order)


async def _paid(shop: Shop, payer: Customer, order: int) -> None:
    await shop.pay((await payer.invoice(order))["invoice_id"])
    await payer.wait_status(order, "completed")


async def _paid_thrice(shop: Shop, payer: Customer, order: int) -> None:
    await _paid(shop, payer, order)
    await shop.resend((await payer.payment(order))["invoice_id"], 2)


async def _expired(shop: Shop, payer: Customer, order: int) -> None:
    await shop.expire((await payer.invoice(order))["invoice_id"])
    await payer.wait_status(order, "cancelled")


async def _cancelled(_shop: Shop, payer: Customer, order: int) -> None:
    await payer.cancel(order)
    await payer.wait_payment(order, "FAILED")


async def _late(shop: Shop, payer: Customer, order: int) -> None:
    invoice = (await payer.invoice(order))["invoice_id"]
    await payer.cancel(order)
    await shop.live_invoices(order)
    await shop.pay_late(invoice)
    await payer.wait_status(order, "failed")


async def _refunded(shop: Shop, payer: Customer, order: int) -> None:
    await _late(shop, payer, order)
    await shop.approve((await shop.refund_of(order))["id"])
    await payer.wait_refund(order, "SUCCEEDED")


FATES: tuple[Fate, ...] = (_unpaid, _paid, _paid_thrice, _expired, _cancelled, _late, _refunded)


@pytest.fixture
async def pages(desk: Desk) -> Any:
    """Give what the page of an order says, with the session of the administrator."""
    async with desk.plain() as http:

        async def page(order: int) -> dict[str, Any]:
            return dict((await http.get(f"/orders/{order}.json")).raise_for_status().json())

        yield page


async def _compare(sources: Sources, bus: Bus, pages: Any, orders: list[int]) -> None:
    await bus.consumed()

    async def differences() -> dict[int, Any]:
        """Return what differs. Audit and closings go on for a moment after an order has ended."""
        expected = await truth(sources, bus, orders)
        shown = {order: await pages(order) for order in orders}
        assert not [page["unread"] for page in shown.values() if page["unread"]]
        found = {order: told(page["timeline"]) for order, page in shown.items()}
        return {order: (expected[order], found[order]) for order in orders if expected[order] != found[order]}

    async def equal() -> bool:
        return not await differences()

    try:
        await poll(equal, "the pages tell the truth", 15, 0.3)
    except TimeoutError:
        for expected, found in (await differences()).values():
            assert found == expected
        raise


async def test_the_stories_of_the_demo_are_told_as_they_were(
    sources: Sources, shop: Shop, bus: Bus, pages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[int] = []
    checkout = Customer.checkout

    async def noted(self: Customer, *args: Any, **given: Any) -> int:
        orders.append(await checkout(self, *args, **given))
        return orders[-1]

    monkeypatch.setattr(Customer, "checkout", noted)
    alice, bob, printed = await shop.login("alice"), await shop.login("bob"), Console(file=StringIO())
    for title, scene in stories.STORIES:
        story = stories.Story(printed, title)
        await scene(story, shop, alice, bob)
        assert not story.failures
    assert len(orders) >= len(stories.STORIES)
    await _compare(sources, bus, pages, orders)


async def test_fifty_orders_of_random_fate_are_told_as_they_were(
    sources: Sources, shop: Shop, back_office: BackOffice, bus: Bus, pages: Any
) -> None:
    chance = random.Random(SEED)
    product, payer, turns = await back_office.product(1_000), await shop.newcomer(), asyncio.Semaphore(AT_ONCE)
    fates = [chance.choice(FATES) for _ in range(ORDERS)]

    async def live(fate: Fate, quantity: int) -> int:
        async with turns:
            order = await payer.checkout(product, quantity)
            await fate(shop, payer, order)
            return order

    orders = await asyncio.gather(*(live(fate, chance.randint(1, 3)) for fate in fates))
    assert set(fates) == set(FATES)
    await _compare(sources, bus, pages, list(orders))

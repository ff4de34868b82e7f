"""The demo's stories on a running stack."""

import io
from typing import Any

from rich.console import Console

from fc.demo import stories
from fc.demo.seed import seed
from fc.demo.shop import Customer, Shop
from fc.stack.local import Stack


async def test_every_story_passes_and_passes_again_at_once(stack: Stack) -> None:
    urls, accounts = stack.urls(), stack.accounts()
    await seed(urls, accounts)
    try:
        for _ in range(2):
            shown = io.StringIO()
            assert await stories.run(urls, accounts, Console(file=shown)) == [], shown.getvalue()
    finally:
        # The stories sell the last piece; the tests after this one find the shop as it was seeded.
        async with Shop.opened(urls, accounts) as shop:
            await shop.set_stock("Last Piece Vase", 1)


async def test_the_timed_orders_use_up_no_limit_of_a_customer_of_other_stories(stack: Stack, monkeypatch: Any) -> None:
    await seed(stack.urls(), stack.accounts())
    buyers = []

    async def checkout(self: Customer, product: dict[str, Any], quantity: int, key: str | None = None) -> int:
        buyers.append(self.name)
        return await plain(self, product, quantity, key)

    plain = Customer.checkout
    monkeypatch.setattr(Customer, "checkout", checkout)
    async with Shop.opened(stack.urls(), stack.accounts()) as shop:
        alice = await shop.login("alice")
        for _ in range(2):
            await stories.measure_orders(stories.Story(Console(file=io.StringIO()), "timed"), shop, alice, alice)
    assert len(set(buyers)) == 2
    assert alice.name not in buyers

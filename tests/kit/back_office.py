"""What tests arrange and read as an administrator: products, stock, and the faults of the payment provider."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from uuid import uuid4

import httpx2

from fc.demo.shop import Shop, poll
from fc.stack.local import Stack

# Order ids that orderfc does not assign during a test run.
_foreign = count(9_000_000_000 + time.time_ns() % 1_000_000_000)


class BackOffice:
    """Products and stock as an administrator handles them, and the faults of the payment provider."""

    def __init__(self, stack: Stack, shop: Shop, client: httpx2.AsyncClient) -> None:
        self.stack = stack
        self._shop = shop
        self._client = client
        self._category: int | None = None
        self._admin: dict[str, str] = {}

    async def product(self, stock: int, price: int = 25_000) -> dict[str, Any]:
        """Make a product that no other test uses."""
        url = self.stack.layout.url("productfc")
        if self._category is None:
            self._admin = (await self._shop.login("admin")).headers
            answer = await self._client.post(
                f"{url}/v1/products/categories", headers=self._admin, json={"name": f"Tests {uuid4().hex[:8]}"}
            )
            answer.raise_for_status()
            self._category = answer.json()["id"]
        body = {"name": f"Thing {uuid4().hex[:10]}", "price": price, "stock": stock, "category_id": self._category}
        answer = await self._client.post(f"{url}/v1/products", headers=self._admin, json=body)
        answer.raise_for_status()
        return dict(answer.json())

    async def stock(self, product: dict[str, Any]) -> int:
        answer = await self._client.get(
            f"{self.stack.layout.url('productfc')}/v1/products", params={"ids": product["id"]}
        )
        answer.raise_for_status()
        return int(answer.json()["products"][0]["stock"])

    async def wait_stock(self, product: dict[str, Any], expected: int) -> None:

        async def reached() -> bool:
            return await self.stock(product) == expected

        await poll(reached, f"stock {expected} of product {product['id']}")

    def foreign_order_id(self) -> int:
        """Return an order id that no checkout gets."""
        return next(_foreign)

    @asynccontextmanager
    async def faults(self, switches: dict[str, Any]) -> AsyncIterator[None]:
        """Switch on faults of the payment provider for the block."""
        url = f"{self.stack.layout.url('xendit')}/_sim/faults"
        (await self._client.put(url, json=switches)).raise_for_status()
        try:
            yield
        finally:
            (await self._client.put(url, json=dict.fromkeys(switches))).raise_for_status()

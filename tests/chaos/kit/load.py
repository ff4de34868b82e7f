"""The load of a chaos run: customers who order, pay, let invoices expire or leave, and repeat failed calls."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2

from fc.demo.shop import Customer, Shop, poll

PATIENCE_S, PAUSE_S = 120, 0.1
PAY, EXPIRE, WALK_AWAY = "pays", "lets it expire", "walks away"
SOLD_OUT = "sold out"


@dataclass
class Bought:
    """One purchase: `order` is None when the stock was gone."""

    intent: str
    order: int | None = None
    invoice: str | None = None


@dataclass
class Load:
    """Sends the orders of a run; a call that fails because a server is away is repeated with the same key."""

    shop: Shop
    customers: list[Customer]
    products: list[dict[str, Any]]
    seed: int
    bought: list[Bought] = field(default_factory=list)

    async def run(self, orders: int, length_s: float) -> None:
        """Start the orders spread over `length_s` seconds and wait until all purchases are over."""
        draw = random.Random(self.seed * 7919 + 1)
        async with asyncio.TaskGroup() as group:
            for _ in range(orders):
                group.create_task(self._customer(random.Random(draw.random()), draw.uniform(0, length_s)))

    async def _customer(self, draw: random.Random, after_s: float) -> None:
        await asyncio.sleep(after_s)
        bought = Bought(draw.choices([PAY, EXPIRE, WALK_AWAY], weights=[7, 2, 1])[0])
        self.bought.append(bought)
        who, product = draw.choice(self.customers), draw.choice(self.products)
        bought.order = await self._checkout(who, product, draw.randint(1, 3))
        if bought.order is None or bought.intent == WALK_AWAY:
            return
        bought.invoice = await self._invoice(who, bought.order)
        if bought.invoice is not None:
            await self._settle(bought.invoice, bought.intent)

    async def _checkout(self, who: Customer, product: dict[str, Any], quantity: int) -> int | None:
        """Repeat one checkout with the same key until it is answered. Returns None if the stock is gone."""
        key = uuid4().hex

        async def answered() -> list[int | None] | None:
            try:
                return [await who.checkout(product, quantity, key)]
            except httpx2.TransportError:
                return None
            except httpx2.HTTPStatusError as refused:
                code = refused.response.json()["code"]
                if code == "insufficient_stock":
                    return [None]
                if code in ("unavailable", "request_in_progress"):
                    return None
                raise

        found: list[int | None] = await poll(answered, "an answer to the checkout", PATIENCE_S, PAUSE_S)
        return found[0]

    async def _invoice(self, who: Customer, order: int) -> str | None:
        """Wait for the invoice. Returns None if the payment was closed before there was one."""

        async def known() -> list[str | None] | None:
            try:
                payment = await who.payment(order)
            except (httpx2.TransportError, httpx2.HTTPStatusError):
                return None
            if payment.get("status") not in (None, "PENDING"):
                return [None]
            return [payment["invoice_id"]] if payment.get("invoice_url") else None

        found: list[str | None] = await poll(known, f"an invoice for order {order}", PATIENCE_S, PAUSE_S)
        return found[0]

    async def _settle(self, invoice: str, intent: str) -> None:
        """Pay or expire at the provider; an invoice that is closed there already stays as it is."""

        async def done() -> bool:
            try:
                await (self.shop.pay(invoice) if intent == PAY else self.shop.expire(invoice))
            except httpx2.TransportError:
                return False
            except httpx2.HTTPStatusError as refused:
                return bool(refused.response.status_code == 409)
            return True

        await poll(done, f"invoice {invoice}", PATIENCE_S, PAUSE_S)


@asynccontextmanager
async def steady_orders(who: Customer, product: dict[str, Any], pause_s: float) -> AsyncIterator[list[int]]:
    """Order one piece of a product after the other until the block ends. Yields the list of orders, which grows."""
    orders: list[int] = []
    stop = asyncio.Event()

    async def order() -> None:
        while not stop.is_set():
            orders.append(await who.checkout_until_answered(product, 1, uuid4().hex))
            await asyncio.sleep(pause_s)

    task = asyncio.create_task(order())
    try:
        yield orders
    finally:
        stop.set()
        await task

"""Redis that is down, slow, flushed or full: orders go on, and revoked tokens stay revoked."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from fc.demo.shop import Customer, poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.databases import redis_client
from tests.chaos.kit.requests import checkout, read_product


@asynccontextmanager
async def redis_fault(arena: Arena, trouble: str) -> AsyncIterator[None]:
    """Have Redis refuse connections, exceed every timeout, freeze, die, lose all data or run out of memory."""
    if trouble in ("refuse", "delay"):
        async with arena.broken("redis", trouble, *([0.5] if trouble == "delay" else [])):
            yield
    elif trouble == "frozen":
        async with arena.frozen("redis"):
            yield
    elif trouble == "killed":
        arena.signal("redis", signal.SIGKILL)
        yield
        arena.healed()
    else:
        async with redis_client(arena) as client:
            if trouble == "flushed":
                await client.flushall()
            else:
                await client.config_set("maxmemory-policy", "noeviction")
                await client.config_set("maxmemory", 1)
            try:
                yield
            finally:
                await client.config_set("maxmemory", 0)
        arena.healed()


async def statuses_with_token(arena: Arena, who: Customer, product: dict[str, Any]) -> list[int]:
    """Use a customer's token at each service and return the four statuses."""
    urls = arena.stack.urls()
    order = await checkout(arena, (product, 1), who=who)
    answers = [
        await arena.client.request(method, url, headers=who.headers)
        for method, url in (
            ("GET", f"{urls['userfc']}/v1/user-info"),
            ("DELETE", f"{urls['productfc']}/v1/products/{product['id']}"),
            ("GET", f"{urls['paymentfc']}/v1/payments/1"),
        )
    ]
    return [order.status_code, *(answer.status_code for answer in answers)]


async def log_out(arena: Arena, who: Customer) -> None:
    answer = await arena.client.post(f"{arena.stack.layout.url('userfc')}/v1/logout", headers=who.headers)
    answer.raise_for_status()


@pytest.mark.fault(60)
@pytest.mark.parametrize("trouble", ["refuse", "delay", "frozen", "killed", "flushed", "full"])
async def test_a_redis_in_trouble_neither_stops_orders_nor_shows_old_stock_nor_lets_a_logged_out_token_in(
    arena: Arena, trouble: str
) -> None:
    product = await arena.back_office.product(stock=5)
    before, meanwhile = await arena.shop.login("bob"), await arena.shop.login("bob")
    await log_out(arena, before)
    assert (await read_product(arena, product))["stock"] == 5
    async with redis_fault(arena, trouble):
        order = await arena.alice.checkout(product, 2)
        await arena.complete(order)
        assert (await read_product(arena, product))["stock"] == 3
        await log_out(arena, meanwhile)
        for gone in (before, meanwhile):
            assert await statuses_with_token(arena, gone, product) == [401] * 4
        assert (await arena.alice.order(order))["status"] == "completed"
    await arena.exact()
    for gone in (before, meanwhile):
        assert await statuses_with_token(arena, gone, product) == [401] * 4
    assert (await read_product(arena, product))["stock"] == 3


@pytest.mark.fault(60)
async def test_without_redis_guesses_are_limited_and_others_sign_in(arena: Arena) -> None:
    url = f"{arena.stack.layout.url('userfc')}/v1/login"
    wrong = {"email": f"nobody-{uuid4().hex[:12]}@example.com", "password": "not the password"}
    async with arena.broken("redis", "refuse"):
        statuses = [(await arena.client.post(url, json=wrong)).status_code for _ in range(12)]
        assert statuses == [401] * 10 + [429] * 2
        await arena.shop.login("bob")

    async def limited() -> bool:
        return bool((await arena.client.post(url, json=wrong)).status_code == 429)

    await poll(limited, "wrong passwords are limited again", 20)
    await arena.exact()

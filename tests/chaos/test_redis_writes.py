"""Redis that answers and refuses writes, and a productfc that dies before it has told Redis of a change."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.databases import redis_client
from tests.chaos.kit.requests import read_product
from tests.chaos.test_redis_outages import log_out, statuses_with_token

WITHIN_S = 5


@asynccontextmanager
async def refusing_writes(arena: Arena, reason: str) -> AsyncIterator[None]:
    """Have Redis answer reads and refuse writes for the block."""
    async with redis_client(arena) as client:
        if reason == "replica":
            await client.replicaof("127.0.0.1", "1")
        else:
            await client.config_set("min-replicas-to-write", 1)
        try:
            yield
        finally:
            await client.replicaof("NO", "ONE")
            await client.config_set("min-replicas-to-write", 0)
    arena.healed()


async def change_price(arena: Arena, product: dict[str, Any], price: int, url: str) -> None:
    admin = (await arena.shop.login("admin")).headers
    answer = await arena.client.put(f"{url}/v1/products/{product['id']}", headers=admin, json={"price": price})
    answer.raise_for_status()


async def cached_at(arena: Arena, product: dict[str, Any], url: str) -> None:
    """Wait until a replica answers from Redis."""

    async def is_cached() -> bool:
        await read_product(arena, product, url)
        async with redis_client(arena) as client:
            return bool(await client.exists(f"product:{product['id']}"))

    await poll(is_cached, "the product is cached")


@pytest.mark.fault(92)
@pytest.mark.parametrize("reason", ["replica", "alone"])
async def test_a_redis_that_refuses_writes_lets_no_logged_out_token_in_and_shows_no_old_price(
    arena: Arena, reason: str
) -> None:
    product = await arena.back_office.product(stock=5)
    gone = await arena.shop.login("bob")
    url = arena.stack.layout.url("productfc")
    async with arena.replica("productfc", command="api") as replica:
        await cached_at(arena, product, replica.url)
        async with refusing_writes(arena, reason):
            await log_out(arena, gone)
            await change_price(arena, product, 30_000, url)

            async def refused_everywhere() -> bool:
                return await statuses_with_token(arena, gone, product) == [401] * 4

            async def new_everywhere() -> bool:
                return {(await read_product(arena, product, place))["price"] for place in (url, replica.url)} == {
                    30_000
                }

            await poll(refused_everywhere, "the token is refused by all services", WITHIN_S)
            await poll(new_everywhere, "both replicas show the new price", WITHIN_S)
            for service, place in arena.stack.urls().items():
                if service != "xendit":
                    report = (await arena.client.get(f"{place}/ready")).json()
                    assert report["checks"]["redis"].startswith("degraded"), service
            await arena.complete(await arena.alice.checkout({**product, "price": 30_000}, 2))
        for _ in range(10):
            assert await refused_everywhere()
            assert await new_everywhere()
    await arena.exact()


@pytest.mark.fault(93)
@pytest.mark.parametrize("change", ["stock", pytest.param("price", marks=pytest.mark.long)])
async def test_a_change_whose_process_was_killed_before_it_invalidated_is_shown_by_the_others(
    arena: Arena, change: str
) -> None:
    product = await arena.back_office.product(stock=5)
    url = arena.stack.layout.url("productfc")
    async with arena.replica("productfc", command="api") as replica:

        async def shown() -> tuple[int, int]:
            read = await read_product(arena, product, replica.url)
            return read["stock"], read["price"]

        async def is_shown(expected: tuple[int, int]) -> bool:
            return await shown() == expected

        async with arena.replaced("productfc", {"FAILPOINTS": "db.after_commit=kill"}) as mortal:
            await cached_at(arena, product, replica.url)
            if change == "stock":
                await arena.alice.checkout(product, 2)
            else:
                with pytest.raises(httpx2.TransportError):
                    await change_price(arena, product, 30_000, url)
            await mortal.killed()
            # The old copy, unless the replica has found the change by itself meanwhile, as it does within a minute.
            assert await shown() in ((5, product["price"]), *(((3, product["price"]),) if change == "stock" else ()))
            if change == "price":
                # No productfc that could repeat the change: the replica finds it by itself within a minute.
                await poll(lambda: is_shown((5, 30_000)), "the replica shows the new price", 75)
        if change == "stock":
            await poll(lambda: is_shown((3, product["price"])), "the replica shows the new stock", 20)
    await arena.exact()

"""Cached reads: stale fills, many readers of one product, and cancelled commands."""

import asyncio
import re
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest

from chassis.config.settings import load
from chassis.redis.client import RedisClient
from fc.demo.shop import poll
from productfc.config import Settings as ProductSettings
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.databases import redis_client
from tests.chaos.kit.locks import table_locked
from tests.chaos.kit.requests import read_product, together, unlimited_client


async def is_cached(arena: Arena, product: dict[str, Any], url: str | None = None) -> bool:
    """Read a product and return whether Redis has it now."""
    await read_product(arena, product, url)
    async with redis_client(arena) as client:
        return bool(await client.exists(f"product:{product['id']}"))


@pytest.mark.fault(61)
async def test_a_reader_that_was_overtaken_by_a_change_does_not_fill_the_cache_with_what_it_read(arena: Arena) -> None:
    product, first = await arena.back_office.product(stock=5), await arena.back_office.product(stock=5)
    admin = (await arena.shop.login("admin")).headers
    url = f"{arena.stack.layout.url('productfc')}/v1/products/{product['id']}"
    # Every fill, not the second: a sweep may have the first product read more than once.
    slow = {"FAILPOINTS": "productfc.before_fill=delay:2@*"}
    async with arena.replica("productfc", slow, command="api") as replica:
        await poll(lambda: is_cached(arena, first, replica.url), "the replica trusts the cache")
        beginning = replica.log.stat().st_size

        async def has_read() -> bool:
            return b"failpoint hit" in replica.log.read_bytes()[beginning:]

        reading = asyncio.create_task(read_product(arena, product, replica.url))
        await poll(has_read, "the slow reader has read", 10)
        (await arena.client.put(url, headers=admin, json={"price": 30_000})).raise_for_status()
        assert not reading.done()
        assert (await reading)["price"] == product["price"]
        for place in (replica.url, None, replica.url, None):
            assert (await read_product(arena, product, place))["price"] == 30_000
    arena.healed()
    await arena.exact()


CHANGED = "updated_at > now()"
"""In the statement with which the cache asks every minute for what has changed."""


@pytest.mark.fault(62)
@pytest.mark.parametrize("with_redis", [True, False])
async def test_two_hundred_readers_of_a_product_that_is_not_cached_make_one_query_at_a_time(
    arena: Arena, with_redis: bool
) -> None:
    product = await arena.back_office.product(stock=5)
    url = f"{arena.stack.layout.url('productfc')}/v1/products/{product['id']}"
    await poll(lambda: is_cached(arena, product), "the cache answers")
    async with redis_client(arena) as stored:
        await stored.delete(f"product:{product['id']}")
    async with AsyncExitStack() as stack:
        if not with_redis:
            await stack.enter_async_context(arena.broken("redis", "refuse"))
        client = await stack.enter_async_context(unlimited_client())
        # Connects, which would take most of the time that the queries may wait.
        await together(client.get(f"{arena.stack.layout.url('productfc')}/ping") for _ in range(200))
        before = await reads_by_source(arena)
        async with table_locked(arena, "productfc", "products", besides=CHANGED) as waiting:
            asking = asyncio.create_task(together(client.get(url) for _ in range(200)))

            async def all_wait() -> bool:
                return sum((await reads_by_source(arena)).values()) - sum(before.values()) == 200

            await poll(all_wait, "all two hundred wait", 4)
            queries = await waiting()
        answers = await asking
    after = await reads_by_source(arena)
    made = {source: after[source] - before.get(source, 0) for source in after}
    # A sweep that falls in between replaces the version, and a doubt of Redis sends the next readers to the database.
    assert made.get("filled", 0) <= 2
    assert queries == made.get("filled", 0) + (made.get("database", 0) > 0)
    assert {(answer.status_code, answer.json()["stock"]) for answer in answers} == {(200, 5)}
    arena.healed()
    await arena.exact()


async def reads_by_source(arena: Arena) -> dict[str, float]:
    """Count the reads of single products so far by the source of the answer, including those without an answer."""
    text = (await arena.client.get(f"{arena.stack.layout.url('productfc')}/metrics")).text
    return {
        source: float(count)
        for source, count in re.findall(r'gocommerce_product_cache_reads_total{from="(\w+)"} (\S+)', text)
    }


@pytest.mark.fault(63)
async def test_a_cancelled_redis_command_never_leaves_its_answer_to_the_next_caller(arena: Arena) -> None:
    environment = arena.stack.programs.environment("productfc")
    given = {name.lower(): value for name, value in environment.items() if name.startswith("REDIS_")}
    client, random = RedisClient(load(ProductSettings, **given)), Random(63)
    names = [f"echo:{number}" for number in range(30)]
    for name in names:
        await client.raw.set(name, name, ex=120)
    loop, cancelled = asyncio.get_running_loop(), 0
    async with arena.broken("redis", "delay", 0.02):
        for _ in range(12):
            tasks = [asyncio.ensure_future(client.raw.get(name)) for name in names]
            for task in random.sample(tasks, 15):
                loop.call_later(random.uniform(0, 0.05), task.cancel)
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            got = {name: answer for name, answer in zip(names, answers, strict=True) if isinstance(answer, bytes)}
            cancelled += len(names) - len(got)
            assert got == {name: name.encode() for name in got}
    await client.close()
    assert 50 < cancelled < 300
    await arena.exact()


@pytest.mark.fault(63)
async def test_readers_who_hang_up_on_a_slow_redis_never_cause_somebody_to_get_another_product(arena: Arena) -> None:
    products = [await arena.back_office.product(stock=5) for _ in range(12)]
    url, random = arena.stack.layout.url("productfc"), Random(63)
    loop = asyncio.get_running_loop()
    async with arena.broken("redis", "delay", 0.19), unlimited_client() as client:
        for _ in range(6):
            asked = [product["id"] for product in random.choices(products, k=40)]
            tasks = [asyncio.create_task(client.get(f"{url}/v1/products/{number}")) for number in asked]
            for task in random.sample(tasks, 15):
                loop.call_later(random.uniform(0, 0.3), task.cancel)
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            for number, answer in zip(asked, answers, strict=True):
                if not isinstance(answer, BaseException):
                    assert (answer.status_code, answer.json()["id"]) == (200, number)
    await arena.exact()

"""The cache when Redis refuses writes or hangs, when a replica is killed, and what it leaves in Redis."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import pytest

from chassis.redis.client import RedisClient
from productfc.config import Settings
from productfc.handler.schemas import SHAPE
from productfc.repository.cached_answers import CURRENT, value_key, version_key
from testkit import eventually
from testkit.proxy import Proxy

from .conftest import Shop, new_order, open_shop


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[RedisClient]:
    client = RedisClient(settings)
    yield client
    await client.close()


@asynccontextmanager
async def working_shop(settings: Settings) -> AsyncIterator[Shop]:
    """Open productfc with its loops."""
    stop = asyncio.Event()
    async with open_shop(settings) as shop:
        running = [asyncio.ensure_future(task.run(stop)) for task in shop.tasks]
        try:
            await eventually(lambda: shop.cache.trusted)
            yield shop
        finally:
            stop.set()
            await asyncio.gather(*running)


async def set_refusal(redis: RedisClient, reason: str, *, refuse: bool) -> None:
    """Have Redis answer reads and refuse writes, or take them again."""
    if reason == "replica":
        await redis.raw.replicaof(*(("127.0.0.1", "1") if refuse else ("NO", "ONE")))
    else:
        await redis.raw.config_set({"full": "maxmemory", "alone": "min-replicas-to-write"}[reason], int(refuse))


@pytest.mark.parametrize("reason", ["replica", "full", "alone"])
async def test_a_second_replica_shows_no_old_price_while_redis_refuses_writes(
    settings: Settings, redis: RedisClient, reason: str
) -> None:
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(working_shop(settings)) for _ in range(2)]
        product = await one.product()
        path = f"/v1/products/{product}"
        await eventually(lambda: redis.raw.exists(CURRENT))
        for shop in (one, two):
            assert (await shop.http.get(path)).json()["price"] == 1000
        assert await redis.raw.exists(value_key(product))
        await set_refusal(redis, reason, refuse=True)
        try:
            assert (await one.http.put(path, json={"price": 7}, headers=one.token())).status_code == 200
            assert (await one.http.get(path)).json()["price"] == 7

            async def is_new() -> bool:
                return bool((await two.http.get(path)).json()["price"] == 7)

            await eventually(is_new, deadline_s=5)
        finally:
            await set_refusal(redis, reason, refuse=False)
        for _ in range(50):
            for shop in (one, two):
                assert (await shop.http.get(path)).json()["price"] == 7
        await eventually(lambda: redis.raw.exists(CURRENT))
        await eventually(is_new)


async def test_unknown_products_leave_nothing_in_redis(shop: Shop, redis: RedisClient) -> None:
    before = await redis.raw.dbsize()
    unknown = range(10**12, 10**12 + 200)
    assert {(await shop.http.get(f"/v1/products/{number}")).status_code for number in unknown} == {404}
    left = [number for number in unknown if await redis.raw.exists(version_key(number), value_key(number))]
    assert left == []
    assert await redis.raw.dbsize() <= before + 1


async def test_a_version_lives_for_a_minute(shop: Shop, redis: RedisClient) -> None:
    product = await shop.product()
    await shop.http.get(f"/v1/products/{product}")
    assert 0 < await redis.raw.ttl(version_key(product)) <= 60


@pytest.mark.parametrize("stored", [b'{"id":1}', b"", b"\xff\x00", SHAPE[:-1] + b"!{}", "a list"])
async def test_what_does_not_fit_is_not_served_and_is_replaced(shop: Shop, redis: RedisClient, stored: object) -> None:
    product = await shop.product()
    path, name = f"/v1/products/{product}", value_key(product)
    if isinstance(stored, bytes):
        await redis.raw.set(name, stored)
    else:
        await redis.raw.rpush(name, "x")
    answer = await shop.http.get(path)
    assert answer.json()["price"] == 1000
    assert await redis.raw.get(name) == SHAPE + answer.content
    assert (await shop.http.get(path)).content == answer.content


async def test_a_change_whose_process_was_killed_before_it_invalidated_is_swept(shop: Shop, redis: RedisClient) -> None:
    product, long_ago = await shop.product(), await shop.product()
    for number in (product, long_ago):
        await shop.http.get(f"/v1/products/{number}")
    change = "UPDATE products SET price = 7, updated_at = now() - $2 * interval '1 second' WHERE id = $1"
    await shop.value(change, product, 110)
    await shop.value(change, long_ago, 130)
    await shop.value("UPDATE product_categories SET updated_at = now() - interval '130 seconds'")
    assert (await shop.http.get(f"/v1/products/{product}")).json()["price"] == 1000
    await shop.cache.repeat()
    assert (await shop.http.get(f"/v1/products/{product}")).json()["price"] == 7
    assert await redis.raw.exists(value_key(long_ago))


async def test_a_renamed_category_whose_process_was_killed_is_swept(shop: Shop) -> None:
    category = await shop.category()
    product = await shop.product(category_id=category)
    await shop.http.get(f"/v1/products/{product}")
    await shop.value(
        "UPDATE product_categories SET name = $2, updated_at = now() WHERE id = $1", category, f"New {category}"
    )
    await shop.cache.repeat()
    assert (await shop.http.get(f"/v1/products/{product}")).json()["category"]["name"] == f"New {category}"


@pytest.mark.parametrize("topic", ["stock.updated", "stock.rollback"])
async def test_a_repeated_stock_event_invalidates_again(shop: Shop, redis: RedisClient, topic: str) -> None:
    product, order = await shop.product(), new_order()
    if topic == "stock.rollback":
        await shop.deliver("stock.updated", order, [(product, 2)])
    event = str(uuid4())
    await shop.deliver(topic, order, [(product, 2)], event)
    # What a reader has filled between the commit and the death of the process that applied the event.
    await redis.raw.set(value_key(product), SHAPE + b'{"stock":"old"}')
    await shop.deliver(topic, order, [(product, 2)] if topic == "stock.updated" else [], event)
    assert await redis.raw.get(value_key(product)) is None


async def test_stock_events_do_not_wait_for_a_redis_that_hangs(settings: Settings, proxy: Proxy) -> None:
    behind = settings.model_copy(update={"redis_host": proxy.host, "redis_port": proxy.port})
    async with working_shop(behind) as shop:
        product = await shop.product(stock=1000)

        async def seconds_of(events: int) -> float:
            started = time.perf_counter()
            for _ in range(events):
                await shop.deliver("stock.updated", new_order(), [(product, 1)])
            return time.perf_counter() - started

        await seconds_of(20)
        free = await seconds_of(100)
        await proxy.blackhole()
        await eventually(lambda: not shop.cache.trusted)
        # Each call would have cost 0.4 s: 40 s in all.
        assert await seconds_of(100) < 3 * free + 2
        await proxy.restore()
        await eventually(lambda: shop.cache.trusted)
        assert (await shop.http.get(f"/v1/products/{product}")).json()["stock"] == 780

"""The cache on a real Redis: a change is visible to the next read, and without Redis everything works."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import ConnectionPool

from chassis.redis.client import RedisClient
from productfc.config import Settings
from productfc.handler.schemas import SHAPE
from productfc.repository.cache import ProductCache
from productfc.repository.cached_answers import value_key
from testkit import eventually

from .conftest import Shop, new_order, open_shop


async def test_a_read_fills_the_cache_with_its_bytes_for_five_minutes(shop: Shop, redis: RedisClient) -> None:
    product = await shop.product()
    answer = await shop.http.get(f"/v1/products/{product}")
    assert await redis.raw.get(value_key(product)) == SHAPE + answer.content
    assert 290 <= await redis.raw.ttl(value_key(product)) <= 300
    assert (await shop.http.get(f"/v1/products/{product}")).content == answer.content


async def test_every_kind_of_change_is_visible_to_the_next_read(shop: Shop) -> None:
    category = await shop.category()
    product = await shop.product(category_id=category)
    path, admin = f"/v1/products/{product}", shop.token()
    assert (await shop.http.get(path)).json()["stock"] == 5
    await shop.deliver("stock.updated", new_order(), [(product, 2)])
    assert (await shop.http.get(path)).json()["stock"] == 3
    await shop.http.put(path, json={"price": 0}, headers=admin)
    assert (await shop.http.get(path)).json()["price"] == 0
    name = f"Renamed {category}"
    await shop.http.put(f"/v1/products/categories/{category}", json={"name": name}, headers=admin)
    assert (await shop.http.get(path)).json()["category"] == {"id": category, "name": name}
    await shop.http.delete(path, headers=admin)
    assert (await shop.http.get(path)).status_code == 404


@dataclass
class SlowDatabase:
    """A database of one product that can block its readers between the query and the fill."""

    answer: bytes = b"old"
    loads: int = 0

    def __post_init__(self) -> None:
        self.read, self.go = asyncio.Event(), asyncio.Event()
        self.go.set()

    async def load(self, _product_id: int) -> bytes:
        """Read the answer, then wait for `go` before returning it."""
        self.loads += 1
        answer = self.answer
        self.read.set()
        await self.go.wait()
        return answer

    async def changed_since(self, _seconds: int) -> list[int]:
        return [7]


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[RedisClient]:
    client = RedisClient(settings)
    yield client
    await client.close()


@pytest.fixture
async def slow(redis: RedisClient) -> tuple[SlowDatabase, ProductCache]:
    """A slow database and a cache that has been swept."""
    database = SlowDatabase()
    cache = ProductCache(redis, database.load, database.changed_since, b"")
    await cache.sweep()
    return database, cache


async def test_a_reader_that_is_overtaken_by_a_writer_does_not_store_what_it_read(
    slow: tuple[SlowDatabase, ProductCache],
) -> None:
    database, cache = slow
    database.go.clear()
    reader = asyncio.create_task(cache.get(7))
    await database.read.wait()
    async with cache.invalidation() as changed:
        database.answer = b"new"
        changed.add(7)
    late = asyncio.create_task(cache.get(7))
    database.read.clear()
    await database.read.wait()
    database.go.set()
    assert await reader == b"old"
    assert await late == b"new"
    assert await cache.get(7) == b"new"


def shared_reads() -> float:
    return REGISTRY.get_sample_value("gocommerce_product_cache_reads_total", {"from": "shared"}) or 0


async def test_fifty_readers_of_a_missing_answer_ask_the_database_once(
    slow: tuple[SlowDatabase, ProductCache],
) -> None:
    database, cache = slow
    database.go.clear()
    shared = shared_reads()
    readers = [asyncio.create_task(cache.get(7)) for _ in range(50)]
    await eventually(lambda: shared_reads() - shared == 49)
    database.go.set()
    assert set(await asyncio.gather(*readers)) == {b"old"}
    assert database.loads == 1


async def test_without_redis_fifty_readers_share_a_query_and_none_that_began_before_they_asked() -> None:
    database = SlowDatabase()
    alone = RedisClient(Settings(redis_host="127.0.0.1", redis_port=1))
    cache = ProductCache(alone, database.load, database.changed_since, b"")
    database.go.clear()
    early = [asyncio.create_task(cache.get(7)) for _ in range(50)]
    await database.read.wait()
    database.answer = b"new"
    late = [asyncio.create_task(cache.get(7)) for _ in range(50)]
    await asyncio.sleep(0)
    database.go.set()
    assert set(await asyncio.gather(*early)) == {b"old"}
    assert set(await asyncio.gather(*late)) == {b"new"}
    assert database.loads == 2
    await alone.close()


async def test_an_invalidation_that_failed_is_made_up_for_and_not_trusted_until_then(
    redis: RedisClient, slow: tuple[SlowDatabase, ProductCache]
) -> None:
    database, cache = slow
    assert await cache.get(7) == b"old"
    working = redis.raw.connection_pool
    redis.raw.connection_pool = ConnectionPool(host="127.0.0.1", port=1)
    database.answer = b"new"
    await cache.invalidate([7])
    assert not cache.trusted
    redis.raw.connection_pool = working
    assert await redis.raw.get(value_key(7)) == b"old"
    assert await cache.get(7) == b"new"

    async def swept() -> bool:
        await cache.sweep()
        return cache.trusted

    await eventually(swept)
    assert await redis.raw.get(value_key(7)) is None
    assert await cache.get(7) == b"new"


async def test_an_invalidation_reaches_redis_although_a_read_has_just_failed(
    redis: RedisClient, slow: tuple[SlowDatabase, ProductCache]
) -> None:
    _, cache = slow
    assert await cache.get(7) == b"old"
    working = redis.raw.connection_pool
    redis.raw.connection_pool = ConnectionPool(host="127.0.0.1", port=1)
    await redis.or_default(lambda client: client.get("k"), None)
    assert redis.down
    redis.raw.connection_pool = working
    await cache.invalidate([7])
    assert await redis.raw.get(value_key(7)) is None, "another replica would still serve it"


async def test_a_transaction_that_fails_after_changing_something_leaves_a_doubt(
    slow: tuple[SlowDatabase, ProductCache],
) -> None:
    _, cache = slow

    async def change() -> None:
        async with cache.invalidation() as changed:
            changed.add(7)
            raise ConnectionError("the answer to COMMIT was lost")

    with pytest.raises(ConnectionError):
        await change()
    assert not cache.trusted


async def test_without_redis_products_are_read_changed_and_taken(settings: Settings) -> None:
    alone = settings.model_copy(update={"redis_port": 1})
    async with open_shop(alone) as shop:
        await shop.cache.sweep()
        product = await shop.product()
        await shop.deliver("stock.updated", new_order(), [(product, 2)])
        answer = await shop.http.put(f"/v1/products/{product}", json={"price": 5}, headers=shop.token())
        assert answer.status_code == 200
        read = (await shop.http.get(f"/v1/products/{product}")).json()
        assert (read["stock"], read["price"]) == (3, 5)

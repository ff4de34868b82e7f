"""Products in Redis against their rows."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from fc.audit.reading.cache import cache_faults, read_cache
from fc.platform.snapshot import Snapshot
from testkit import free_port

from ..world import World

# A database that no service uses.
DATABASE = 9


@pytest.fixture
async def redis(redis_server: dict[str, Any]) -> AsyncIterator[Redis]:
    address = f"{redis_server['redis_host']}:{redis_server['redis_port']}/{DATABASE}"
    client = Redis.from_url(f"redis://:{redis_server['redis_password']}@{address}")
    await client.flushdb()
    yield client
    await client.aclose()


@pytest.fixture
def world(bare: World, redis_server: dict[str, Any]) -> World:
    """The databases with Redis beside them."""
    address = f"{redis_server['redis_host']}:{redis_server['redis_port']}/{DATABASE}"
    bare.sources = replace(bare.sources, redis=f"redis://:{redis_server['redis_password']}@{address}")
    return bare


async def cache(redis: Redis, world: World, product_id: int, **changed: object) -> None:
    """Store the answer that productfc gives of a product, with changes."""
    row = await world.connections["productfc"].fetchrow("SELECT * FROM products WHERE id = $1", product_id)
    assert row
    answer = {"id": product_id, "name": row["name"], "price": float(row["price"]), "stock": row["stock"], **changed}
    await redis.set(f"product:{product_id}", b"0123456789abcdef " + orjson.dumps(answer), ex=300)
    await redis.set(f"product:{product_id}:version", b"7f", ex=60)


async def test_an_answer_that_is_as_its_row_is_sound(world: World, redis: Redis) -> None:
    await cache(redis, world, 1)
    report = await world.audit()
    assert (report.findings, report.skipped) == ([], ["kafka", "mongo"])


@pytest.mark.parametrize(
    ("changed", "held"),
    [
        ({"stock": 98}, "Product 1, {price}, stock 98"),
        ({"price": 1.5}, "Product 1, 1.5, stock 99"),
        ({"name": "Old"}, "Old, {price}, stock 99"),
        ({"stock": None}, "Product 1, {price}, stock None"),
    ],
)
async def test_an_answer_that_differs_from_its_row_is_found(
    world: World, redis: Redis, changed: dict[str, object], held: str
) -> None:
    await cache(redis, world, 1, **changed)
    price = await world.connections["productfc"].fetchval("SELECT trim_scale(price)::text FROM products WHERE id = 1")
    assert (await world.audit()).findings == [], "a change of a moment ago may not be invalidated yet"
    await world.sql("productfc", "UPDATE products SET updated_at = now() - interval '1 hour'")
    [found] = (await world.audit()).findings
    assert (found.rule, found.subject) == ("product_cached", "product 1 in the cache")
    assert (found.expected, found.found) == (f"Product 1, {price}, stock 99", held.format(price=price))


async def test_an_answer_of_a_product_that_is_off_sale_is_found(world: World, redis: Redis) -> None:
    await cache(redis, world, 1)
    await world.sql("productfc", "UPDATE products SET deleted_at = now(), updated_at = now() - interval '1 hour'")
    [found] = (await world.audit()).findings
    assert found.expected == "none: the product is off sale"


async def test_bytes_that_are_no_answer_are_found(world: World, redis: Redis) -> None:
    await redis.set("product:1", b"\xff{", ex=300)
    await world.sql("productfc", "UPDATE products SET updated_at = now() - interval '1 hour'")
    [found] = (await world.audit()).findings
    assert found.found == "no answer that can be read"


async def test_an_answer_that_was_invalidated_since_it_was_read_is_no_fault(world: World, redis: Redis) -> None:
    await cache(redis, world, 1, stock=98)
    cached = await read_cache(world.sources.redis or "")
    assert list(cached) == [b"product:1"]
    await redis.delete("product:1")
    async with Snapshot.taken(world.sources.databases) as snapshot:
        assert [fault async for fault in cache_faults(world.sources.redis or "", cached, snapshot)] == []


async def test_a_redis_that_does_not_answer_is_named(world: World) -> None:
    address = f"127.0.0.1:{free_port()}"
    report = await world.audit(replace(world.sources, redis=f"redis://:x@{address}"))
    assert list(report.unread) == ["redis"]
    assert address.split(":")[1] in report.unread["redis"]
    assert report.exit_code == 2

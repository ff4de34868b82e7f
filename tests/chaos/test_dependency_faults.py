"""Faults of what the services call: Redis, MongoDB, userfc's gRPC and productfc may each be down, slow or silent."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any
from uuid import uuid4

import pytest
import redis.asyncio

from chassis.config.settings import load
from chassis.redis import RedisClient
from fc.demo.shop import Customer, poll
from productfc.config import Settings as ProductSettings
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.databases import orders_for
from tests.chaos.kit.locks import table_locked
from tests.chaos.kit.requests import checkout, read_product, refused_for_now, together, unlimited_client


@asynccontextmanager
async def redis_of(arena: Arena) -> AsyncIterator[redis.asyncio.Redis]:
    """Reach Redis past the proxy."""
    password = arena.stack.programs.environment("productfc")["REDIS_PASSWORD"]
    client = redis.asyncio.Redis(port=arena.stack.layout.port("redis"), password=password)
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def redis_in_trouble(arena: Arena, trouble: str) -> AsyncIterator[None]:
    """Have Redis refuse, be slower than every time-out, stand still, die, lose everything or have no room left."""
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
        async with redis_of(arena) as client:
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


async def entries(arena: Arena, who: Customer, product: dict[str, Any]) -> list[int]:
    """Try a customer's token at each service; give the four statuses."""
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
    async with redis_in_trouble(arena, trouble):
        order = await arena.alice.checkout(product, 2)
        await arena.complete(order)
        assert (await read_product(arena, product))["stock"] == 3
        await log_out(arena, meanwhile)
        for gone in (before, meanwhile):
            assert await entries(arena, gone, product) == [401] * 4
        assert (await arena.alice.order(order))["status"] == "completed"
    await arena.exact()
    for gone in (before, meanwhile):
        assert await entries(arena, gone, product) == [401] * 4
    assert (await read_product(arena, product))["stock"] == 3


@pytest.mark.fault(60)
async def test_without_redis_nobody_is_kept_from_signing_in_and_limits_hold_again_afterwards(arena: Arena) -> None:
    url = f"{arena.stack.layout.url('userfc')}/v1/login"
    wrong = {"email": f"nobody-{uuid4().hex[:12]}@example.com", "password": "not the password"}
    async with arena.broken("redis", "refuse"):
        assert [(await arena.client.post(url, json=wrong)).status_code for _ in range(12)] == [401] * 12
        await arena.shop.login("bob")

    async def limited() -> bool:
        return bool((await arena.client.post(url, json=wrong)).status_code == 429)

    await poll(limited, "wrong passwords are limited again", 20)
    await arena.exact()


async def is_cached(arena: Arena, product: dict[str, Any], url: str | None = None) -> bool:
    """Read a product, and tell whether Redis holds it now."""
    await read_product(arena, product, url)
    async with redis_of(arena) as client:
        return bool(await client.exists(f"product:{product['id']}"))


@pytest.mark.fault(61)
async def test_a_reader_that_was_overtaken_by_a_change_does_not_fill_the_cache_with_what_it_read(arena: Arena) -> None:
    product, first = await arena.back_office.product(stock=5), await arena.back_office.product(stock=5)
    admin = (await arena.shop.login("admin")).headers
    url = f"{arena.stack.layout.url('productfc')}/v1/products/{product['id']}"
    slow = {"FAILPOINTS": "productfc.before_fill=delay:2@2"}
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


@pytest.mark.fault(62)
@pytest.mark.parametrize("with_redis", [True, False])
async def test_two_hundred_readers_of_a_product_that_is_not_cached_make_one_query_at_a_time(
    arena: Arena, with_redis: bool
) -> None:
    product = await arena.back_office.product(stock=5)
    url = f"{arena.stack.layout.url('productfc')}/v1/products/{product['id']}"
    await poll(lambda: is_cached(arena, product), "the cache answers")
    async with redis_of(arena) as stored:
        await stored.delete(f"product:{product['id']}")
    async with AsyncExitStack() as stack:
        if not with_redis:
            await stack.enter_async_context(arena.broken("redis", "refuse"))
        client = await stack.enter_async_context(unlimited_client())
        before = await reads(arena)
        async with table_locked(arena, "productfc", "products") as waiting:
            asking = asyncio.create_task(together(client.get(url) for _ in range(200)))

            async def all_wait() -> bool:
                return await reads(arena) - before == 200

            await poll(all_wait, "all two hundred wait", 4)
            queries = await waiting()
        answers = await asking
    assert queries == 1
    assert {(answer.status_code, answer.json()["stock"]) for answer in answers} == {(200, 5)}
    arena.healed()
    await arena.exact()


async def reads(arena: Arena) -> float:
    """Count the reads of single products so far, answered or not."""
    lines = (await arena.client.get(f"{arena.stack.layout.url('productfc')}/metrics")).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("product_cache_reads_total{"))


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


@pytest.mark.fault(64)
@pytest.mark.parametrize("mode", ["refuse", "blackhole", "cut"])
async def test_payments_go_on_without_mongodb_and_each_audit_entry_arrives_once_afterwards(
    arena: Arena, mode: str
) -> None:
    admin = (await arena.shop.login("admin")).headers
    url = f"{arena.stack.layout.url('paymentfc')}/v1/payments/audit-logs"
    # Cut: MongoDB stores what it is sent, and nobody hears of it.
    async with arena.broken("mongo", mode, *([0] if mode == "cut" else [])):
        _, order = await arena.placed()
        await arena.complete(order)
        assert refused_for_now(await arena.client.get(url, headers=admin))
        waiting = await arena.sql("paymentfc", "SELECT count(*) FROM audit_outbox WHERE order_id = $1", order)
        assert waiting[0][0] == 4
    await arena.exact()
    answer = await arena.client.get(url, headers=admin, params={"order_id": order, "page_size": 100})
    steps = ("payment.created", "invoice.created", "payment.paid", "event.published")
    assert Counter(entry["event"] for entry in answer.json()["items"]) == dict.fromkeys(steps, 1)


@pytest.mark.fault(65)
@pytest.mark.parametrize("mode", ["refuse", "blackhole", "delay", "frozen"])
async def test_an_invoice_waits_for_userfc_without_hanging_and_is_made_once_afterwards(arena: Arena, mode: str) -> None:
    product = await arena.back_office.product(stock=5)
    trouble = (
        arena.frozen("userfc") if mode == "frozen" else arena.broken("grpc", mode, *([4] if mode == "delay" else []))
    )
    async with trouble:
        order = await arena.alice.checkout(product, 1)

        async def failed() -> bool:
            rows = await arena.sql(
                "paymentfc", "SELECT retry_count, tries FROM payment_requests WHERE order_id = $1", order
            )
            return bool(rows) and rows[0]["retry_count"] >= 2 and rows[0]["tries"] == 0

        await poll(failed, "the request was put off twice", 30, 0.1)
        payment = await arena.alice.payment(order)
        assert (payment["status"], payment["invoice_url"]) == ("PENDING", None)
    await arena.complete(order)
    await arena.exact()
    [invoice] = [
        item
        for item in (await arena.client.get(f"{arena.stack.layout.url('xendit')}/_sim/invoices")).json()
        if item["external_id"] == f"order-{order}"
    ]
    assert invoice["payer_email"] == arena.stack.accounts()["alice"][0]


@pytest.mark.fault(66)
@pytest.mark.parametrize("mode", ["refuse", "blackhole", "delay", "frozen", "cut"])
async def test_a_hundred_checkouts_without_productfc_are_refused_leave_nothing_and_hold_up_no_other_route(
    arena: Arena, mode: str
) -> None:
    product, keys = await arena.back_office.product(stock=200), [uuid4().hex for _ in range(100)]
    values = {"delay": [30.0], "cut": [40.0]}.get(mode, [])
    async with unlimited_client() as client:
        trouble = arena.frozen("productfc") if mode == "frozen" else arena.broken("productfc", mode, *values)
        async with trouble:
            asking = asyncio.create_task(
                together(checkout(arena, (product, 1), key=key, client=client) for key in keys)
            )
            url, meanwhile = f"{arena.stack.layout.url('orderfc')}/v1/orders/history", 0
            while not asking.done():
                other = await client.get(url, headers=arena.alice.headers, params={"limit": 1})
                assert other.status_code == 200 or refused_for_now(other)
                meanwhile += other.status_code == 200 and not asking.done()
            assert meanwhile or mode in ("refuse", "cut")
            assert [refused_for_now(answer) for answer in asking.result()] == [True] * 100
            assert await orders_for(arena, product) == 0
        again = await together(checkout(arena, (product, 1), key=key, client=client) for key in keys[:10])
    assert [answer.status_code for answer in again] == [201] * 10
    await arena.exact()
    assert await orders_for(arena, product) == 10
    assert await arena.back_office.stock(product) == 190

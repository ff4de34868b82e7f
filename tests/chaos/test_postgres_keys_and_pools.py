"""Idempotency keys while a request runs or after it died, and connection pools that are exhausted."""

import asyncio
import signal
from uuid import uuid4

import httpx2
import pytest

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.databases import key_exists, orders_for
from tests.chaos.kit.locks import table_locked
from tests.chaos.kit.requests import checkout, refused_for_now, together, unlimited_client


@pytest.mark.fault(69)
async def test_a_key_answers_another_body_422_a_running_request_409_and_the_same_request_the_same(arena: Arena) -> None:
    product, key = await arena.back_office.product(stock=5), uuid4().hex
    async with arena.replaced("orderfc", {"FAILPOINTS": "orderfc.before_commit=delay:5"}) as running:
        asking = asyncio.create_task(checkout(arena, (product, 1), key=key, url=running.url))
        await poll(lambda: key_exists(arena, key), "the key is reserved")
        same = await checkout(arena, (product, 1), key=key, url=running.url)
        other = await checkout(arena, (product, 2), key=key, url=running.url)
        assert not asking.done()
        assert (same.status_code, same.json()["code"]) == (409, "request_in_progress")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        first = await asking
    again = await checkout(arena, (product, 1), key=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert (await checkout(arena, (product, 2), key=key)).status_code == 422
    # A key belongs to one user.
    theirs = await checkout(arena, (product, 1), key=key, who=arena.bob)
    assert theirs.status_code == 201
    assert theirs.json()["order_id"] != first.json()["order_id"]
    await arena.complete(first.json()["order_id"])
    await arena.exact()
    assert await arena.back_office.stock(product) == 3


@pytest.mark.fault(69)
async def test_the_key_of_a_request_that_died_is_held_for_its_lease_and_then_does_its_work_once(arena: Arena) -> None:
    product, key = await arena.back_office.product(stock=5), uuid4().hex
    async with arena.replaced("orderfc", {"FAILPOINTS": "orderfc.before_commit=kill"}) as running:
        with pytest.raises(httpx2.TransportError):
            await checkout(arena, (product, 1), key=key, url=running.url)
        assert await running.exit_code() == -signal.SIGKILL
    assert (await checkout(arena, (product, 1), key=key)).json()["code"] == "request_in_progress"
    # End the lease of 30 s.
    await arena.sql("orderfc", "UPDATE idempotency_keys SET leased_until = statement_timestamp() WHERE key = $1", key)
    answers = await together(checkout(arena, (product, 1), key=key) for _ in range(5))
    assert {answer.status_code for answer in answers} <= {201, 409}
    [order] = {answer.json()["order_id"] for answer in answers if answer.status_code == 201}
    assert (await checkout(arena, (product, 1), key=key)).json()["order_id"] == order
    await arena.complete(order)
    await arena.exact()
    assert await orders_for(arena, product) == 1


@pytest.mark.fault(70)
async def test_a_pool_that_is_used_up_refuses_within_seconds_and_the_saga_goes_on_afterwards(arena: Arena) -> None:
    product, order = await arena.placed()
    invoice = (await arena.invoice(order))["invoice_id"]
    url, log = arena.stack.layout.url("orderfc"), arena.stack.layout.log("orderfc")
    beginning = log.stat().st_size
    async with unlimited_client() as client:
        async with table_locked(arena, "orderfc", "orders") as waiting:
            reading = asyncio.create_task(
                together(client.get(f"{url}/v1/orders/history", headers=arena.alice.headers) for _ in range(200))
            )

            async def used_up() -> bool:
                return b"no database connection within" in log.read_bytes()[beginning:] and bool(await waiting())

            await poll(used_up, "the pool is exhausted")
            await arena.shop.pay(invoice)
            health = await client.get(f"{url}/health")
            ordering = await together(checkout(arena, (product, 1), client=client) for _ in range(10))
            others = [await client.get(f"{url}/v1/orders/{order}", headers=arena.alice.headers)]
            answers = await reading
        assert health.status_code == 200
        assert [refused_for_now(answer) for answer in (*answers, *ordering, *others)] == [True] * 211
        assert (await arena.back_office.stock(product), await orders_for(arena, product)) == (4, 1)
    arena.healed()
    await arena.alice.wait_status(order, "completed", 40)
    await arena.exact()


@pytest.mark.fault(70)
async def test_an_order_completes_while_readers_leave_its_service_no_idle_connection(arena: Arena) -> None:
    _, order = await arena.placed()
    url, over = f"{arena.stack.layout.url('orderfc')}/v1/orders/history", asyncio.Event()
    async with unlimited_client() as client:

        async def read_on() -> set[int]:
            seen = set()
            while not over.is_set():
                seen.add((await client.get(url, headers=arena.alice.headers)).status_code)
            return seen

        readers = [asyncio.create_task(read_on()) for _ in range(60)]
        try:
            await arena.pay(order)

            async def completed() -> bool:
                return bool(await arena.sql("orderfc", "SELECT true FROM orders WHERE id = $1 AND status = 2", order))

            await poll(completed, "the order completes", 30, 0.05)
        finally:
            over.set()
        assert set.union(*await asyncio.gather(*readers)) <= {200, 503}
    arena.healed()
    await arena.exact()

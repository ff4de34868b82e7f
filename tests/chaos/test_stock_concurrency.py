"""Orders and administrators that change the same stock at the same time: nothing is oversold or lost."""

import asyncio
from collections import Counter
from random import Random
from typing import Any

import httpx2
import pytest

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.databases import cancelled_orders
from tests.chaos.kit.locks import products_locked, wait_for_waiters
from tests.chaos.kit.requests import checkout, place_order
from tests.chaos.kit.stock import change_product, ledger, stock_of, wait_ledger


@pytest.mark.fault(36)
async def test_of_two_hundred_who_ask_two_processes_for_the_last_one_exactly_one_gets_it(arena: Arena) -> None:
    product = await arena.back_office.product(stock=1)
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    async with (
        arena.replica("productfc"),
        arena.replica("orderfc", command="api") as other,
        httpx2.AsyncClient(timeout=60, limits=limits) as client,
    ):
        barrier = asyncio.Barrier(200)

        async def one(n: int) -> httpx2.Response:
            who, url = (arena.alice, arena.bob)[n % 2], (None, other.url)[n // 2 % 2]
            await barrier.wait()
            return await checkout(arena, (product, 1), who=who, url=url, client=client)

        async with products_locked(arena, product):
            answers = await asyncio.gather(*(one(n) for n in range(200)))
        placed = [answer.json()["order_id"] for answer in answers if answer.status_code == 201]
        refusals = {(answer.status_code, answer.json()["code"]) for answer in answers if answer.status_code != 201}
        assert len(placed) > 1
        assert refusals <= {(409, "insufficient_stock"), (503, "unavailable")}
        lost = await cancelled_orders(arena, placed, len(placed) - 1)
    arena.healed()
    await arena.exact()
    [winner] = set(placed) - set(lost)
    assert await ledger(arena, winner) == {product["id"]: (1, "TAKEN")}
    assert await stock_of(arena, product) == 0


async def deadlocks(arena: Arena) -> int:
    rows = await arena.sql("productfc", "SELECT deadlocks FROM pg_stat_database WHERE datname = 'productfc'")
    return int(rows[0]["deadlocks"])


@pytest.mark.fault(37)
async def test_orders_that_name_the_same_products_in_different_order_never_lock_each_other_out(arena: Arena) -> None:
    products = [await arena.back_office.product(stock=100) for _ in range(5)]
    draw, wanted = Random(37), Counter[int]()
    before = await deadlocks(arena)
    async with arena.replica("productfc"):
        baskets = [[(product, draw.randint(1, 2)) for product in draw.sample(products, 3)] for _ in range(60)]
        async with products_locked(arena, *products):
            numbers = [await place_order(arena, *basket) for basket in baskets]
        for number in numbers:
            await wait_ledger(arena, number, "TAKEN", 3)
    for basket in baskets:
        wanted.update({product["id"]: quantity for product, quantity in basket})
    arena.healed()
    await arena.exact()
    assert {product["id"]: 100 - await stock_of(arena, product) for product in products} == wanted
    assert await deadlocks(arena) == before


@pytest.mark.fault(37)
async def test_a_deduction_that_a_deadlock_ends_comes_again_and_is_made_once(arena: Arena) -> None:
    first, second = [await arena.back_office.product(stock=5) for _ in range(2)]
    before = await deadlocks(arena)
    async with products_locked(arena, second) as connection:
        # The deduction must detect the deadlock, not this connection.
        await connection.execute("SET LOCAL deadlock_timeout = '60s'")
        number = await place_order(arena, (second, 2), (first, 1))
        await wait_for_waiters(connection)
        await connection.execute("SELECT 1 FROM products WHERE id = $1 FOR NO KEY UPDATE", first["id"])
    await wait_ledger(arena, number, "TAKEN", 2)
    await arena.exact()
    assert [await stock_of(arena, product) for product in (first, second)] == [4, 3]
    assert await deadlocks(arena) == before + 1


@pytest.mark.fault(43)
async def test_no_deduction_is_lost_while_an_administrator_edits_the_product(
    arena: Arena,
) -> None:
    counted, described = [await arena.back_office.product(stock=100) for _ in range(2)]
    async with products_locked(arena, counted, described) as connection:
        numbers = [await place_order(arena, (counted, 1), (described, 1)) for _ in range(25)]
        await wait_for_waiters(connection)
        changes = [asyncio.create_task(_until_done(arena, counted, stock=200 + n)) for n in range(6)]
        changes += [asyncio.create_task(_until_done(arena, described, description=f"{n}")) for n in range(6)]
        await wait_for_waiters(connection, 2)
    numbers += [await place_order(arena, (counted, 1), (described, 1)) for _ in range(25)]
    await asyncio.gather(*changes)
    for number in numbers:
        await wait_ledger(arena, number, "TAKEN", 2)
    await arena.exact()
    given = await arena.sql(
        "productfc",
        "SELECT cause, sum(units) AS units FROM stock_adjustments WHERE product_id = $1 GROUP BY 1",
        counted["id"],
    )
    units = {row["cause"]: int(row["units"]) for row in given}
    assert await stock_of(arena, counted) == units["created"] + units["set"] - 50
    assert 150 <= await stock_of(arena, counted) <= 205
    assert await stock_of(arena, described) == 50


async def _until_done(arena: Arena, product: dict[str, Any], **fields: Any) -> None:
    """Change a product; repeats the request when it is refused for want of a connection."""

    async def done() -> bool:
        return (await change_product(arena, product, **fields)).status_code == 200

    await poll(done, f"the change {fields}", 40, 0.1)

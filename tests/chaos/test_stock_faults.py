"""Faults of stock: whatever comes twice, late, at once or never, stock is not oversold, not conjured and not kept."""

import asyncio
import json
from collections import Counter
from random import Random
from typing import Any

import asyncpg
import httpx2
import pytest

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.locks import products_locked, wait_for_waiters
from tests.chaos.kit.outboxes import event_counts
from tests.chaos.kit.requests import checkout, place_order
from tests.chaos.kit.stock import change_product, ledger, stock_of, wait_ledger

SET_ASIDE = "consumer.before_handler/stock.updated=delay:120"
"""Has productfc sit on the first stock.updated until it is killed."""


@pytest.mark.fault(33)
async def test_a_rollback_that_overtakes_its_deduction_leaves_the_stock_alone(arena: Arena) -> None:
    async with arena.replaced("productfc", {"FAILPOINTS": SET_ASIDE}) as productfc:
        product, number = await arena.placed(stock=5, quantity=2)
        await arena.shop.expire((await arena.invoice(number))["invoice_id"])
        await wait_ledger(arena, number, "TOMBSTONE")
        assert await stock_of(arena, product) == 5
        productfc.process.kill()
    await arena.exact()
    # The deduction has arrived by now: exact() waits for it.
    assert await ledger(arena, number) == {product["id"]: (2, "TOMBSTONE")}
    assert await stock_of(arena, product) == 5
    assert await arena.history(number) == ["created", "cancelled"]


@pytest.mark.fault(34)
async def test_rollbacks_that_come_again_or_for_what_was_never_taken_conjure_no_stock(arena: Arena) -> None:
    product, number = await arena.placed(stock=5, quantity=2)
    await wait_ledger(arena, number, "TAKEN")
    await arena.shop.expire((await arena.invoice(number))["invoice_id"])
    await wait_ledger(arena, number, "RELEASED")
    [rollback] = [event for event in await arena.bus.events_of(number) if event.topic == "stock.rollback"]
    for fresh_id in (False, True, True):
        await arena.bus.send(rollback, fresh_id=fresh_id)

    scarce = await arena.back_office.product(stock=1)
    async with products_locked(arena, scarce):
        both = [await place_order(arena, (scarce, 1)), await place_order(arena, (scarce, 1))]
    [refused] = await cancelled(arena, both, 1)
    for line in ([(scarce["id"], 1)], [(scarce["id"], 50)], [(product["id"], 3)], []):
        await arena.bus.publish("stock.rollback", refused, line)
    await arena.bus.consumed()
    arena.healed()
    await arena.exact()
    assert [await stock_of(arena, product), await stock_of(arena, scarce)] == [5, 0]
    assert await ledger(arena, refused) == {scarce["id"]: (1, "REJECTED")}


async def cancelled(arena: Arena, numbers: list[int], count: int) -> list[int]:
    """Wait until so many of alice's orders are cancelled, and give them."""

    async def reached() -> list[int]:
        rows = await arena.sql("orderfc", "SELECT id FROM orders WHERE id = ANY($1::bigint[]) AND status = 3", numbers)
        return [int(row["id"]) for row in rows] if len(rows) >= count else []

    found = list(await poll(reached, f"{count} orders are cancelled", 60, 0.05))
    assert len(found) == count
    return found


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
        lost = await cancelled(arena, placed, len(placed) - 1)
    arena.healed()
    await arena.exact()
    [winner] = set(placed) - set(lost)
    assert await ledger(arena, winner) == {product["id"]: (1, "TAKEN")}
    assert await stock_of(arena, product) == 0


async def deadlocks(arena: Arena) -> int:
    """Count the deadlocks that PostgreSQL has found among productfc's statements."""
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
        # The deduction is to find the deadlock, not we.
        await connection.execute("SET LOCAL deadlock_timeout = '60s'")
        number = await place_order(arena, (second, 2), (first, 1))
        await wait_for_waiters(connection)
        await connection.execute("SELECT 1 FROM products WHERE id = $1 FOR NO KEY UPDATE", first["id"])
    await wait_ledger(arena, number, "TAKEN", 2)
    await arena.exact()
    assert [await stock_of(arena, product) for product in (first, second)] == [4, 3]
    assert await deadlocks(arena) == before + 1


@pytest.mark.fault(38)
async def test_an_order_of_which_one_line_is_short_takes_nothing_at_all(arena: Arena) -> None:
    first, second, short = [await arena.back_office.product(stock=5) for _ in range(3)]
    async with products_locked(arena, first) as connection:
        number = await place_order(arena, (short, 2), (first, 2), (second, 2))
        await wait_for_waiters(connection)
        (await change_product(arena, short, stock=1)).raise_for_status()
    await wait_ledger(arena, number, "REJECTED", 3)
    await arena.alice.wait_status(number, "cancelled")
    await arena.exact()
    assert [await stock_of(arena, product) for product in (first, second, short)] == [5, 5, 1]
    assert await arena.shop.live_invoices(number) == 0
    assert await event_counts(arena, number) == {"order.created": 1, "stock.updated": 1, "stock.rejected": 1}


NO_QUANTITIES: tuple[Any, ...] = (0, -1, -(2**31), 2**31, 2**63, 10**400, 1.5, 1.0, "2", "", None, True, [1], {})
NO_PRODUCTS: tuple[Any, ...] = (0, -1, 2**63, 1.5, "1", "x", None, False, [])


@pytest.mark.fault(40)
async def test_no_quantity_that_is_none_is_ordered_or_taken_or_makes_stock_grow(arena: Arena) -> None:
    product, number = await arena.placed(stock=50)
    await wait_ledger(arena, number, "TAKEN")
    bad: list[Any] = [{"product_id": product["id"], "quantity": quantity} for quantity in NO_QUANTITIES]
    bad += [{"product_id": other, "quantity": 1} for other in NO_PRODUCTS] + [
        {"product_id": product["id"]},
        {},
        1,
        None,
    ]
    for line in [*bad, {"product_id": product["id"], "quantity": 1001}]:
        answer = await checkout(arena, (product, 1), line)
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed"), line
    for line in bad:
        event = json.dumps({"order_id": number, "products": [line]}).encode()
        for topic in ("stock.updated", "stock.rollback"):
            await arena.bus.raw(topic, f"order-{number}".encode(), event)
    await arena.bus.consumed()
    for topic in ("stock.updated", "stock.rollback"):
        letters = {letter.value for letter in await arena.bus.read(f"{topic}.dlq")}
        assert letters >= {json.dumps({"order_id": number, "products": [line]}).encode() for line in bad}
    with pytest.raises(asyncpg.CheckViolationError):
        await arena.sql("productfc", "UPDATE products SET stock = -1 WHERE id = $1", product["id"])
    arena.healed()
    await arena.exact()
    assert await stock_of(arena, product) == 49
    rows = await arena.sql("orderfc", "SELECT count(*) FROM order_items WHERE product_id = $1", product["id"])
    assert rows[0][0] == 1


@pytest.mark.fault(40)
async def test_a_product_that_a_basket_names_again_and_again_is_one_line_of_the_sum(arena: Arena) -> None:
    products, draw = [await arena.back_office.product(stock=1200, price=1000 + n) for n in range(3)], Random(40)
    sold = Counter[int]()
    for _ in range(12):
        lines = [(draw.choice(products), draw.randint(1, 9)) for _ in range(draw.randint(2, 20))]
        wanted = Counter[int]()
        for product, quantity in lines:
            wanted[product["id"]] += quantity
        number = await place_order(arena, *lines)
        shown = await arena.alice.order(number)
        assert {line["product_id"]: line["quantity"] for line in shown["products"]} == wanted
        assert shown["total_amount"] == sum(product["price"] * quantity for product, quantity in lines)
        sold += wanted
    scarce = await arena.back_office.product(stock=10)
    answers = [
        await checkout(arena, (scarce, 6), (scarce, 6)),
        await checkout(arena, (products[0], 600), (products[0], 401)),
        await checkout(arena, *({"product_id": scarce["id"], "quantity": 1, "price": price} for price in (25_000, 1))),
    ]
    assert [answer.json()["code"] for answer in answers] == [
        "insufficient_stock",
        "validation_failed",
        "validation_failed",
    ]
    arena.healed()
    await arena.exact()
    assert {product["id"]: 1200 - await stock_of(arena, product) for product in products} == sold
    assert await stock_of(arena, scarce) == 10


@pytest.mark.fault(43)
async def test_no_deduction_is_lost_under_an_administrator_who_sets_stock_and_none_under_one_who_does_not(
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
    """Change a product; who waits for a connection too long is refused, and asks again."""

    async def done() -> bool:
        return (await change_product(arena, product, **fields)).status_code == 200

    await poll(done, f"the change {fields}", 40, 0.1)

"""Stock on real connections: never below zero and no unit invented, in whatever order the events arrive."""

import asyncio
import random
from uuid import uuid4

from .conftest import Shop, new_order

TAKE, RETURN = "stock.updated", "stock.rollback"


async def test_of_200_orders_for_the_last_piece_one_takes_it_and_199_are_rejected_once(shop: Shop) -> None:
    product = await shop.product(stock=1)
    orders = [new_order() for _ in range(200)]
    async with asyncio.TaskGroup() as group:
        gate = asyncio.Semaphore(8)

        async def take(order: int) -> None:
            async with gate:
                await shop.deliver(TAKE, order, [(product, 1)])

        for order in orders:
            group.create_task(take(order))
    assert await shop.stock(product) == 0
    states = [(await shop.states(order))[0] for order in orders]
    assert (states.count("TAKEN"), states.count("REJECTED")) == (1, 199)
    assert sum([len(await shop.rejections(order)) for order in orders]) == 199


async def test_sixty_orders_of_three_random_products_meet_no_deadlock(shop: Shop) -> None:
    products = [await shop.product(stock=1000) for _ in range(5)]
    before = await shop.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    chosen = [random.sample(products, 3) for _ in range(60)]
    gate = asyncio.Semaphore(8)

    async def order(lines: list[int]) -> None:
        async with gate:
            await shop.deliver(TAKE, new_order(), [(product, 1) for product in lines])

    await asyncio.gather(*(order(lines) for lines in chosen))
    for product in products:
        assert await shop.stock(product) == 1000 - sum(product in lines for lines in chosen)
    assert await shop.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == before


async def test_one_short_product_of_three_takes_nothing_and_is_named(shop: Shop) -> None:
    products = [await shop.product(stock=stock) for stock in (5, 5, 1)]
    order = new_order()
    await shop.deliver(TAKE, order, [(product, 2) for product in products])
    assert [await shop.stock(product) for product in products] == [5, 5, 1]
    [event] = await shop.rejections(order)
    assert event["reason"] == f"product stock is not enough for product {products[2]}"
    assert event["products"] == [{"product_id": product, "quantity": 2} for product in products]
    assert event["order_id"] == order
    assert event["event_time"].endswith("Z")


async def test_an_unknown_product_rejects_the_order(shop: Shop) -> None:
    order = new_order()
    await shop.deliver(TAKE, order, [(2**62, 1)])
    assert [event["reason"] for event in await shop.rejections(order)] == [f"product {2**62} does not exist"]


async def test_a_product_named_twice_is_summed(shop: Shop) -> None:
    product = await shop.product(stock=5)
    await shop.deliver(TAKE, new_order(), [(product, 2), (product, 2)])
    assert await shop.stock(product) == 1
    await shop.deliver(TAKE, order := new_order(), [(product, 2**31 - 1), (product, 2**31 - 1)])
    assert await shop.states(order) == ["REJECTED"]


async def test_a_rollback_that_comes_first_keeps_the_order_from_taking(shop: Shop) -> None:
    product = await shop.product()
    for lines in ([(product, 2)], []):
        order = new_order()
        await shop.deliver(RETURN, order, lines)
        await shop.deliver(TAKE, order, [(product, 2)])
        assert await shop.stock(product) == 5
        assert await shop.states(order) == ["TOMBSTONE"]
        assert await shop.rejections(order) == []


async def test_take_and_rollback_at_the_same_time_always_leave_the_stock_whole(shop: Shop) -> None:
    product = await shop.product()
    for _ in range(30):
        order = new_order()
        await asyncio.gather(
            *(shop.deliver(topic, order, [(product, 2)]) for topic in random.sample([TAKE, RETURN] * 2, 4))
        )
        assert await shop.states(order) in (["RELEASED"], ["TOMBSTONE"])
        assert await shop.stock(product) == 5


async def test_duplicates_with_old_and_new_ids_and_after_a_purged_inbox_change_nothing(shop: Shop) -> None:
    product = await shop.product()
    order, event_id = new_order(), str(uuid4())
    lines = [(product, 2)]
    await asyncio.gather(*(shop.deliver(TAKE, order, lines, event_id) for _ in range(5)))
    await shop.deliver(TAKE, order, lines)
    await shop.value("DELETE FROM inbox")
    await shop.deliver(TAKE, order, lines, event_id)
    assert await shop.stock(product) == 3
    for _ in range(3):
        await shop.deliver(RETURN, order, [(product, 9)])
    assert await shop.stock(product) == 5
    await shop.value("DELETE FROM inbox")
    await shop.deliver(TAKE, order, lines, event_id)
    assert (await shop.stock(product), await shop.states(order)) == (5, ["RELEASED"])


async def test_a_rejected_order_is_told_once_and_gets_nothing_back(shop: Shop) -> None:
    product = await shop.product(stock=1)
    order = new_order()
    for _ in range(3):
        await shop.deliver(TAKE, order, [(product, 2)])
    await shop.deliver(RETURN, order, [(product, 2)])
    assert (await shop.stock(product), await shop.states(order)) == (1, ["REJECTED"])
    assert len(await shop.rejections(order)) == 1


async def test_an_archived_product_still_serves_the_orders_that_hold_it(shop: Shop) -> None:
    product = await shop.product()
    first, second = new_order(), new_order()
    await shop.deliver(TAKE, first, [(product, 2)])
    assert (await shop.http.delete(f"/v1/products/{product}", headers=shop.token())).status_code == 200
    await shop.deliver(TAKE, second, [(product, 1)])
    await shop.deliver(RETURN, first, [(product, 2)])
    assert await shop.stock(product) == 4


async def test_an_administrator_who_sets_the_stock_while_orders_take_it_leaves_every_unit_explained(shop: Shop) -> None:
    product = await shop.product(stock=500)
    gate = asyncio.Semaphore(8)

    async def take() -> None:
        async with gate:
            await shop.deliver(TAKE, new_order(), [(product, 1)])

    async def set_to(stock: int) -> None:
        async with gate:
            path, body = f"/v1/products/{product}", {"stock": stock}
            assert (await shop.http.put(path, json=body, headers=shop.token())).status_code == 200

    await asyncio.gather(*(take() if number % 3 else set_to(300 + number) for number in range(90)))
    adjusted = await shop.value("SELECT sum(units) FROM stock_adjustments WHERE product_id = $1", product)
    held = await shop.value("SELECT sum(quantity) FROM stock_ledger WHERE product_id = $1 AND state = 'TAKEN'", product)
    assert await shop.stock(product) == adjusted - held
    assert held == 60


async def test_a_change_that_is_undone_or_changes_no_stock_notes_nothing(shop: Shop) -> None:
    product = await shop.product(stock=5)
    path, headers = f"/v1/products/{product}", shop.token()
    assert (await shop.http.put(path, json={"name": "New", "stock": 5}, headers=headers)).status_code == 200
    assert (await shop.http.put(path, json={"stock": 9, "category_id": 2**60}, headers=headers)).status_code == 404
    query = "SELECT string_agg(units || ' ' || cause, ', ' ORDER BY id) FROM stock_adjustments WHERE product_id = $1"
    assert await shop.value(query, product) == "5 created"
    assert (await shop.http.put(path, json={"stock": 2}, headers=headers)).status_code == 200
    assert await shop.value(query, product) == "5 created, -3 set"

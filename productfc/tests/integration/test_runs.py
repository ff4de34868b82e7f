"""Stock events that are applied in one transaction: any run has the result that its messages have one by one."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import InvalidMessage
from chassis.events import Message
from productfc.config import Settings
from testkit.properties import Burst, Delivery, examples

from .conftest import Lines, Shop, new_order, open_shop, stock_event

TAKE, RETURN = "stock.updated", "stock.rollback"
PRODUCTS, ORDERS = range(3), range(5)
UNKNOWN = 2**62
# A topic, and bursts of its events: here those of a burst are one run.
Run = tuple[str, Burst[int]]


@pytest.fixture(scope="module")
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    """productfc, shared by all examples of this module."""
    async with open_shop(settings) as shop:
        await shop.cache.sweep()
        yield shop


@pytest.fixture(scope="module")
async def category(shop: Shop) -> int:
    """One category for all products of this module."""
    return await shop.category()


@dataclass
class Stage:
    """Products and orders of one way of delivery; everything is told by their small numbers."""

    shop: Shop
    products: list[int]
    baskets: list[Lines]
    orders: list[int] = field(default_factory=lambda: [new_order() for _ in ORDERS])
    name: UUID = field(default_factory=uuid4)
    sent: dict[UUID, str] = field(default_factory=dict)

    def messages(self, run: Run) -> list[Message]:
        topic, burst = run
        return [self._message(topic, delivery) for delivery in burst.deliveries]

    def _message(self, topic: str, delivery: Delivery[int]) -> Message:
        order = delivery.event
        lines = [(self._product(number), quantity) for number, quantity in self.baskets[order]]
        message = stock_event(topic, self.orders[order], lines, str(delivery.event_id(self.name)))
        self.sent[message.identity] = f"{topic} {order} {delivery.number}"
        return message

    def _product(self, number: int) -> int:
        return self.products[number] if number in PRODUCTS else UNKNOWN

    async def result(self) -> dict[str, Any]:
        """Return what the database holds and what was published, in terms of the numbers."""
        numbers = {product: str(number) for number, product in enumerate(self.products)} | {UNKNOWN: "unknown"}
        async with self.shop.db.driver() as connection:
            ledger = await connection.fetch(
                "SELECT order_id, product_id, quantity, state, event_id FROM stock_ledger WHERE order_id = ANY($1)",
                self.orders,
            )
            inbox = await connection.fetch("SELECT event_id FROM inbox WHERE event_id = ANY($1)", list(self.sent))
            rejected = await connection.fetch(
                "SELECT key, payload::text FROM outbox WHERE topic = 'stock.rejected' AND key = ANY($1) ORDER BY id",
                [f"order-{order}" for order in self.orders],
            )
        rejections = []
        for key, payload in rejected:
            content = json.loads(payload)
            *words, product = content["reason"].split(" ") if "enough" in content["reason"] else ("does not exist", "")
            lines = sorted((numbers[line["product_id"]], line["quantity"]) for line in content["products"])
            rejections.append((self.orders.index(int(key[6:])), words, product and numbers[int(product)], lines))
        return {
            # Compared with what a reader is shown, so an answer that is still cached is found too.
            "stock": [await self.shop.stock(product) for product in self.products],
            "ledger": sorted(
                (self.orders.index(row[0]), numbers[row[1]], row[2], row[3], self.sent[row[4]]) for row in ledger
            ),
            "inbox": sorted(self.sent[row[0]] for row in inbox),
            "rejections": rejections,
        }


lines = st.lists(st.tuples(st.sampled_from([0, 0, 1, 1, 2, 2, 3]), st.integers(1, 5)), min_size=1, max_size=3)
baskets = st.lists(lines, min_size=len(ORDERS), max_size=len(ORDERS))
stocks = st.lists(st.integers(0, 12), min_size=len(PRODUCTS), max_size=len(PRODUCTS))
deliveries = st.lists(st.builds(Delivery, st.sampled_from(ORDERS), st.integers(0, 1)), min_size=1, max_size=9)
runs = st.tuples(
    st.sampled_from([TAKE, TAKE, RETURN]),
    st.builds(Burst, deliveries.map(tuple), st.sampled_from([False] * 4 + [True])),
)


@examples(60)
@given(stocks, baskets, st.lists(runs, min_size=1, max_size=5))
async def test_any_run_has_the_result_of_its_messages_one_by_one(
    shop: Shop, category: int, initial: list[int], baskets: list[Lines], schedule: list[Run]
) -> None:
    results = []
    for together in (False, True):
        stage = Stage(shop, [await shop.product(stock=stock, category_id=category) for stock in initial], baskets)
        # From here on the answers of the products are cached.
        await shop.cache.sweep()
        for product in stage.products:
            await shop.stock(product)
        for run in schedule:
            if run[1].purge:
                await shop.value("DELETE FROM inbox")
            messages = stage.messages(run)
            for part in [messages] if together else [[message] for message in messages]:
                await shop.deliver_together(part)
        results.append(await stage.result())
    assert results[0] == results[1]


@pytest.mark.parametrize("position", range(4))
async def test_a_run_with_a_poison_message_at_any_place_does_nothing(shop: Shop, category: int, position: int) -> None:
    product = await shop.product(stock=9, category_id=category)
    orders = [new_order() for _ in range(4)]
    run = [stock_event(TAKE, order, [(product, 1)]) for order in orders]
    run[position] = Message.received(TAKE, 0, 1, b"order-1", b'{"order_id": ')
    with pytest.raises(InvalidMessage):
        await shop.deliver_together(run)
    assert await shop.stock(product) == 9
    assert await shop.value("SELECT count(*) FROM stock_ledger WHERE order_id = ANY($1)", orders) == 0
    assert await shop.value("SELECT count(*) FROM inbox WHERE event_id = ANY($1)", [m.identity for m in run]) == 0
    assert shop.cache.trusted


async def test_a_run_that_the_database_refuses_does_nothing_and_its_messages_can_still_come_one_by_one(
    shop: Shop, category: int
) -> None:
    product = await shop.product(stock=9, category_id=category)
    first, second = new_order(), new_order()
    run = [stock_event(TAKE, first, [(product, 2)]), stock_event(TAKE, second, [(product, 3)])]
    await shop.value("ALTER TABLE stock_ledger ADD CONSTRAINT planted CHECK (quantity <> 3) NOT VALID")
    try:
        with pytest.raises(Exception, match="planted"):
            await shop.deliver_together(run)
        assert (await shop.stock(product), await shop.states(first)) == (9, [])
    finally:
        await shop.value("ALTER TABLE stock_ledger DROP CONSTRAINT planted")
    for message in run:
        await shop.deliver_together([message])
    assert (await shop.stock(product), await shop.states(first)) == (4, ["TAKEN"])


async def test_a_run_that_comes_again_with_more_behind_it_is_applied_where_it_is_new(shop: Shop, category: int) -> None:
    product = await shop.product(stock=100, category_id=category)
    run = [stock_event(TAKE, new_order(), [(product, 1)]) for _ in range(20)]
    await shop.deliver_together(run)
    assert await shop.stock(product) == 80
    # As after a kill between the commit and the offset.
    await shop.deliver_together(run)
    await shop.deliver_together([*run[10:], stock_event(TAKE, new_order(), [(product, 5)]), run[0], *run[:10]])
    assert await shop.stock(product) == 75


async def test_a_run_that_comes_again_invalidates_what_the_killed_process_left_in_the_cache(
    shop: Shop, category: int
) -> None:
    await shop.cache.sweep()
    taken, returned = [await shop.product(stock=5, category_id=category) for _ in range(2)]
    first, second = new_order(), new_order()
    await shop.deliver(TAKE, second, [(returned, 2)])
    for topic, product, order in ((TAKE, taken, first), (RETURN, returned, second)):
        run = [stock_event(topic, order, [(product, 2)]), stock_event(topic, new_order(), [(product, 1)])]
        assert await shop.cache.get(product)
        await shop.deliver_together(run)
        stale = await shop.cache.get(product)
        await shop.value("UPDATE products SET stock = stock + 1 WHERE id = $1", product)
        assert await shop.cache.get(product) == stale
        await shop.deliver_together(run)
        assert await shop.cache.get(product) != stale


async def test_runs_at_the_same_time_share_orders_products_and_events_without_a_deadlock(
    shop: Shop, category: int
) -> None:
    products = [await shop.product(stock=10_000, category_id=category) for _ in range(6)]
    before = await shop.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    events = [
        stock_event(topic, order, [(product, 1) for product in random.sample(products, 3)])
        for order in [new_order() for _ in range(60)]
        for topic in (TAKE, RETURN)
    ]
    of = {topic: [event for event in events if event.topic == topic] for topic in (TAKE, RETURN)}
    gate = asyncio.Semaphore(6)

    async def deliver(topic: str) -> None:
        async with gate:
            await shop.deliver_together(random.sample(of[topic], 40))

    await asyncio.gather(*(deliver(topic) for topic in [TAKE, RETURN] * 8))
    for topic in (TAKE, RETURN):
        await shop.deliver_together(of[topic])
    assert [await shop.stock(product) for product in products] == [10_000] * 6
    assert await shop.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == before

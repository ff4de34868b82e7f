"""Stock on a real database: concurrent and repeated events of several orders lose no unit, inbox purged or not."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productfc.config import Settings
from testkit.properties import Burst, Delivery, deliver, examples, schedules

from .conftest import Lines, Shop, new_order, open_shop

TAKE, RETURN = "stock.updated", "stock.rollback"
PRODUCTS, ORDERS = range(3), range(4)
UNKNOWN = 2**62
Event = tuple[str, int]


@dataclass
class World:
    """One example: the real products and orders behind the small numbers of the strategies."""

    shop: Shop
    products: list[int]
    orders: list[int]
    initial: list[int]
    baskets: list[Lines]

    def basket(self, order: int) -> dict[int, int]:
        """Return an order's quantities by real product id. The number after the last product means an unknown one."""
        quantities: dict[int, int] = {}
        for number, quantity in self.baskets[order]:
            product = self.products[number] if number in PRODUCTS else UNKNOWN
            quantities[product] = quantities.get(product, 0) + quantity
        return quantities

    async def play(self, schedule: list[Burst[Event]]) -> None:
        example = uuid4()

        async def send(delivery: Delivery[Event]) -> None:
            topic, order = delivery.event
            lines = list(self.basket(order).items())
            await self.shop.deliver(topic, self.orders[order], lines, str(delivery.event_id(example)))

        await deliver(schedule, send, lambda: self.shop.value("DELETE FROM inbox"))

    async def rows(self, order: int) -> list[dict[str, Any]]:
        query = "SELECT product_id, quantity, state FROM stock_ledger WHERE order_id = $1"
        async with self.shop.db.driver() as connection:
            return [dict(row) for row in await connection.fetch(query, self.orders[order])]


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


async def world(shop: Shop, category: int, initial: list[int], baskets: list[Lines]) -> World:
    products = [await shop.product(stock=stock, category_id=category) for stock in initial]
    return World(shop, products, [new_order() for _ in ORDERS], initial, baskets)


def possible(schedule: list[Burst[Event]], order: int) -> set[str]:
    """Return the states in which an order may end: its first event decides, and any event of a burst may be first."""
    bursts = [{topic for topic, number in burst.events if number == order} for burst in schedule]
    first = next((burst for burst in bursts if burst), set())
    topics = set().union(*bursts)
    ends = {"TOMBSTONE"} if RETURN in first else set()
    if TAKE in first:
        ends |= {"REJECTED", "RELEASED" if RETURN in topics else "TAKEN"}
    return ends or {""}


stocks = st.lists(st.integers(0, 9), min_size=len(PRODUCTS), max_size=len(PRODUCTS))
lines = st.lists(st.tuples(st.sampled_from([0, 0, 1, 1, 2, 2, 3]), st.integers(1, 5)), min_size=1, max_size=3)
baskets = st.lists(lines, min_size=len(ORDERS), max_size=len(ORDERS))
events = st.tuples(st.sampled_from([TAKE, TAKE, RETURN]), st.sampled_from(ORDERS))


@examples(60)
@given(stocks, baskets, schedules(events))
async def test_stock_adds_up_and_every_order_ends_as_a_whole_in_a_state_that_its_events_allow(
    shop: Shop, category: int, initial: list[int], baskets: list[Lines], schedule: list[Burst[Event]]
) -> None:
    played = await world(shop, category, initial, baskets)
    await played.play(schedule)
    held = dict.fromkeys([*played.products, UNKNOWN], 0)
    for order in ORDERS:
        rows = await played.rows(order)
        states = {row["state"] for row in rows} or {""}
        assert len(states) == 1
        assert states <= possible(schedule, order)
        assert {row["product_id"]: row["quantity"] for row in rows} == (played.basket(order) if rows else {})
        assert len(await shop.rejections(played.orders[order])) == (states == {"REJECTED"})
        for row in rows:
            held[row["product_id"]] += row["quantity"] if row["state"] == "TAKEN" else 0
    assert held[UNKNOWN] == 0
    free = [await shop.stock(product) for product in played.products]
    assert free == [stock - held[product] for stock, product in zip(initial, played.products, strict=True)]


@examples(40)
@given(baskets, schedules(events))
async def test_an_order_is_refused_only_when_the_shelf_could_not_serve_all(
    shop: Shop, category: int, baskets: list[Lines], schedule: list[Burst[Event]]
) -> None:
    full = [sum(quantity for basket in baskets for number, quantity in basket if number == p) for p in PRODUCTS]
    played = await world(shop, category, full, baskets)
    await played.play(schedule)
    for order in ORDERS:
        refused = {row["state"] for row in await played.rows(order)} == {"REJECTED"}
        assert not refused or UNKNOWN in played.basket(order)

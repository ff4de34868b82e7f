"""Checkouts that are placed together leave what they leave one by one, and none suffers from another."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import asyncpg
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.db.database import Database
from orderfc.client.products import ProductClient
from orderfc.config import Settings
from orderfc.model import BasketLine
from orderfc.repository import placing
from orderfc.repository.placing import NewOrder
from orderfc.usecase.checkout import Checkout, CheckoutRequest, Outcome
from orderfc.usecase.place_order import CLOSE_TO_LIMIT
from testkit.properties import examples

from .conftest import Productfc

_firsts = itertools.count(10_000_000, 1_000)
HASH = b"\1" * 32
BASKETS = [[BasketLine(1, 2)], [BasketLine(2, 1), BasketLine(1, 3)], [BasketLine(1, 1), BasketLine(2, 1, Decimal(50))]]
# Each is refused at another step: the basket, the statement's values, a constraint of the table.
REFUSED: dict[str, dict[str, Any]] = {
    "unknown": {"items": [BasketLine(9, 1)]},
    "too much": {"items": [BasketLine(1, 1), BasketLine(2, 900)]},
    "price": {"items": [BasketLine(1, 1, Decimal(1))]},
    "nul": {"shipping_address": "Jalan \0"},
    "long": {"payment_method": "x" * 65},
}
# One customer's orders, so that with the first of them the next are placed one after the other.
MAX_OPEN = CLOSE_TO_LIMIT + 1


@dataclass(frozen=True)
class Asked:
    """A checkout of a mix: whose it is, with a key or not, what is in it."""

    customer: int
    has_key: bool
    basket: int
    refused: str = ""

    def request(self, first: int, number: int) -> CheckoutRequest:
        what = {"items": BASKETS[self.basket], "payment_method": "CARD", "shipping_address": f"Jalan {number}"}
        key = f"key {number}" if self.has_key else None
        return CheckoutRequest(
            user_id=first + self.customer, key=key, request_hash=HASH, **what | REFUSED.get(self.refused, {})
        )


@dataclass
class Shop:
    """Checkout on a real database, and what it has handed to the statement that places orders."""

    db: Database
    checkout: Checkout
    statements: list[list[int]] = field(default_factory=list)

    async def together(self, requests: Sequence[CheckoutRequest]) -> list[Outcome | BaseException]:
        async with asyncio.timeout(20):
            return await asyncio.gather(*(self.checkout(each) for each in requests), return_exceptions=True)

    async def one_by_one(self, requests: Sequence[CheckoutRequest]) -> list[Outcome | BaseException]:
        ends: list[Outcome | BaseException] = []
        for each in requests:
            ends += await asyncio.gather(self.checkout(each), return_exceptions=True)
        return ends

    async def rows(self, first: int) -> list[str]:
        """Return all that is stored of the customers from `first` on, without numbers, times and event ids."""
        async with self.db.driver() as connection:
            rows = await connection.fetch(_ROWS, first)
        return [row["all"] for row in rows]

    async def stored(self, first: int) -> tuple[int, int]:
        """Count the orders, and the keys without one, of the customers from `first` on."""
        async with self.db.driver() as connection:
            row = await connection.fetchrow(_STORED, first)
        assert row is not None
        return row["orders"], row["keys"]


class Unlimited:
    """Plays the limit of tries, without Redis, so that the requests of a test stay side by side."""

    def test_local(self, subject: str) -> None:
        return

    async def hit(self, subject: str) -> None:
        return


_STORED = """
SELECT (SELECT count(*) FROM orders WHERE user_id BETWEEN $1 AND $1 + 999) AS orders,
  (SELECT count(*) FROM idempotency_keys WHERE user_id BETWEEN $1 AND $1 + 999 AND order_id IS NULL) AS keys
"""
_ROWS = """
SELECT json_build_array(
  o.user_id - $1, o.status, o.total_amount, o.total_qty, o.currency, o.payment_method, o.shipping_address,
  (SELECT json_agg(json_build_array(product_id, name, quantity, price) ORDER BY product_id)
   FROM order_items WHERE order_id = o.id),
  (SELECT json_agg(json_build_array(status, cause) ORDER BY id) FROM order_history WHERE order_id = o.id),
  (SELECT json_agg(json_build_array(
     topic, payload - 'order_id' - 'event_time' - 'user_id', (payload->>'order_id')::bigint - o.id,
     (payload->>'user_id')::bigint - $1, headers, published_at, attempts) ORDER BY id)
   FROM outbox WHERE key = 'order-' || o.id),
  (SELECT json_agg(key) FROM idempotency_keys AS k WHERE k.order_id = o.id AND k.user_id = o.user_id)
)::text AS "all"
FROM orders AS o WHERE user_id BETWEEN $1 AND $1 + 999 ORDER BY 1
"""


@asynccontextmanager
async def opened(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    db, productfc, place = Database(settings), Productfc(), placing.place
    productfc.stock(1, price=150_000, stock=500)
    productfc.stock(2, price=50, stock=500)
    products = ProductClient(settings, httpx2.MockTransport(productfc))
    unlimited: Any = Unlimited()
    shop = Shop(db, Checkout(settings, db, products, unlimited))

    async def noted(db: Database, orders: Sequence[NewOrder], max_open: int) -> Any:
        shop.statements.append([order.draft.user_id for order in orders])
        return await place(db, orders, max_open)

    monkeypatch.setattr(placing, "place", noted)
    yield shop
    await products.close()
    await db.close()


@pytest.fixture(scope="module")
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    """A shop where a customer's second open order is already close to the limit."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        async with opened(settings.model_copy(update={"max_open_orders_per_user": MAX_OPEN}), monkeypatch) as shop:
            yield shop


def said(ends: Sequence[Outcome | BaseException]) -> list[str]:
    """Return how each checkout ended, without numbers of orders."""
    errors = [f"{type(end).__name__}: {str(end).splitlines()[0]}" for end in ends if not isinstance(end, Outcome)]
    return ["placed" if isinstance(end, Outcome) else errors.pop(0) for end in ends]


mixes = st.lists(
    st.builds(
        Asked, st.integers(0, 4), st.booleans(), st.integers(0, len(BASKETS) - 1), st.sampled_from(["", "", *REFUSED])
    ),
    min_size=1,
    max_size=14,
)


@examples(60)
@given(mixes)
async def test_any_mix_of_checkouts_at_once_ends_as_the_same_ones_after_each_other(
    shop: Shop, mix: list[Asked]
) -> None:
    at_once, in_turn = next(_firsts), next(_firsts)
    together = await shop.together([asked.request(at_once, number) for number, asked in enumerate(mix)])
    one_by_one = await shop.one_by_one([asked.request(in_turn, number) for number, asked in enumerate(mix)])
    assert said(together) == said(one_by_one)
    assert [isinstance(end, Outcome) for end in together] == [not asked.refused for asked in mix]
    assert await shop.rows(at_once) == await shop.rows(in_turn)
    numbers = [end.order_id for end in together if isinstance(end, Outcome)]
    assert len(set(numbers)) == len(numbers)
    assert await shop.stored(at_once) == await shop.stored(in_turn) == (len(numbers), 0)


@pytest.mark.parametrize("has_key", [False, True])
@pytest.mark.parametrize("bad", ["nul", "long"])
@pytest.mark.parametrize("position", range(4))
async def test_an_order_that_the_database_refuses_is_the_only_one_of_its_batch(
    shop: Shop, position: int, bad: str, has_key: bool
) -> None:
    first = next(_firsts)
    mix = [Asked(customer, has_key, 0, bad if customer == position else "") for customer in range(4)]
    shop.statements.clear()
    ends = await shop.together([asked.request(first, number) for number, asked in enumerate(mix)])
    assert [isinstance(end, Outcome) for end in ends] == [customer != position for customer in range(4)]
    assert isinstance(ends[position], asyncpg.PostgresError)
    everyone = [first + customer for customer in range(4)]
    assert shop.statements == [everyone, *([customer] for customer in everyone)]
    assert await shop.stored(first) == (3, 0)


async def test_after_an_answer_that_was_lost_no_order_is_placed_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = placing.place

    async def lost(*arguments: Any) -> Any:
        await place(*arguments)
        raise ConnectionResetError("after the commit")

    first = next(_firsts)
    monkeypatch.setattr(placing, "place", lost)
    ends = await shop.together(
        [Asked(customer, has_key=False, basket=0).request(first, customer) for customer in range(5)]
    )
    assert {type(end) for end in ends} == {ConnectionResetError}
    assert (await shop.stored(first), len(shop.statements[-1])) == ((5, 0), 5)


async def test_no_statement_has_two_orders_of_one_customer(shop: Shop) -> None:
    first = next(_firsts)
    shop.statements.clear()
    ends = await shop.together(
        [Asked(number % 3, has_key=False, basket=0).request(first, number) for number in range(12)]
    )
    assert said(ends) == ["placed"] * 12
    assert all(len(set(customers)) == len(customers) for customers in shop.statements)
    assert shop.statements[0] == [first, first + 1, first + 2]


async def test_a_cancelled_checkout_leaves_the_others_of_its_batch_alone(shop: Shop) -> None:
    first = next(_firsts)
    requests = [Asked(customer, has_key=True, basket=0).request(first, customer) for customer in range(6)]
    tasks = [asyncio.create_task(shop.checkout(each)) for each in requests]
    shop.statements.clear()
    async with asyncio.timeout(10):
        while not shop.statements:
            await asyncio.sleep(0)
    tasks[2].cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [Outcome, Outcome, asyncio.CancelledError, Outcome, Outcome, Outcome]
    # Its order is placed or not, as its statement was under way; its key is done or free, never held.
    assert await shop.stored(first) in ((5, 0), (6, 0))


async def test_a_checkout_that_is_cancelled_while_its_key_is_being_reserved_frees_it(shop: Shop) -> None:
    first = next(_firsts)
    requests = [Asked(customer, has_key=True, basket=0).request(first, customer) for customer in range(3)]
    tasks = [asyncio.create_task(shop.checkout(each)) for each in requests]
    await asyncio.sleep(0)
    tasks[1].cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [Outcome, asyncio.CancelledError, Outcome]
    assert await shop.stored(first) == (2, 0)

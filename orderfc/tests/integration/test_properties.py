"""Orders on a real database: whatever arrives at once, again and with its inbox purged, ends as the contract says."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.db.database import Database
from orderfc.client.products import ProductClient
from orderfc.config import Settings
from orderfc.handler.kafka import handlers
from orderfc.model import BasketLine, Status
from orderfc.usecase.checkout import Checkout, CheckoutRequest
from testkit.properties import Burst, Delivery, arrived, deliver, examples, first_of, schedules

from .conftest import Productfc, message, open_checkout

PAID, PAYMENT_FAILED, STOCK_REJECTED = "payment.success", "payment.failed", "stock.rejected"
REFUSALS = frozenset({PAYMENT_FAILED, STOCK_REJECTED})
CAUSES = {PAID: "paid", PAYMENT_FAILED: "payment_failed", STOCK_REJECTED: "stock_rejected"}
VALUES: dict[str, dict[str, object]] = {
    PAID: {"status": "PAID", "topic": PAID},
    PAYMENT_FAILED: {"status": "EXPIRED", "topic": PAYMENT_FAILED, "reason": "expired"},
    STOCK_REJECTED: {"products": [], "reason": "x", "event_time": "2026-01-01T00:00:00Z"},
}
PRICES = {1: 150_000, 2: 1, 3: 9_999_999}


@dataclass
class Store:
    """Checkout and the message handlers on one pool."""

    db: Database
    checkout: Checkout

    async def place(self, basket: list[tuple[int, int]]) -> int:
        """Place an order of (product id, quantity) pairs."""
        items = [BasketLine(product_id, quantity) for product_id, quantity in basket]
        return (await self.checkout(CheckoutRequest(1, items, "CARD", "here", None, b""))).order_id

    async def play(self, schedule: list[Burst[str]], order_id: int) -> None:
        """Let everything arrive that the schedule says, about one order."""
        example = uuid4()

        async def send(delivery: Delivery[str]) -> None:
            value = json.dumps({"order_id": order_id, **VALUES[delivery.event]}).encode()
            arriving = message(delivery.event, value, str(delivery.event_id(example)))
            await handlers(self.db)[delivery.event](arriving)

        async def purge() -> None:
            async with self.db.driver() as connection:
                await connection.execute("DELETE FROM inbox")

        await deliver(schedule, send, purge)

    async def history(self, order_id: int) -> list[tuple[Status, str]]:
        """Return the (status, cause) rows of an order's history; the last one is where the order stands."""
        async with self.db.driver() as connection:
            rows = await connection.fetch(
                "SELECT status, cause FROM order_history WHERE order_id = $1 ORDER BY id", order_id
            )
            status = await connection.fetchval("SELECT status FROM orders WHERE id = $1", order_id)
        steps = [(Status(row["status"]), str(row["cause"])) for row in rows]
        assert steps[-1][0] == status
        return steps

    async def published(self, order_id: int, topic: str) -> list[dict[str, Any]]:
        """Return an order's events of a topic, amounts exact."""
        query = "SELECT payload::text FROM outbox WHERE key = $1 AND topic = $2 ORDER BY id"
        async with self.db.driver() as connection:
            rows = await connection.fetch(query, f"order-{order_id}", topic)
        return [json.loads(row[0], parse_float=Decimal) for row in rows]


@pytest.fixture(scope="module")
async def store(settings: Settings) -> AsyncIterator[Store]:
    """Return a store whose shelves are full."""
    db, productfc = Database(settings), Productfc()
    for product_id, price in PRICES.items():
        productfc.stock(product_id, price=price, stock=10_000)
    products = ProductClient(settings, httpx2.MockTransport(productfc))
    async with open_checkout(settings, db, products) as checkout:
        yield Store(db, checkout)
    await products.close()
    await db.close()


baskets = st.lists(st.tuples(st.sampled_from(sorted(PRICES)), st.integers(1, 50)), min_size=1, max_size=6)


def summed(basket: list[tuple[int, int]]) -> list[dict[str, int]]:
    """Return a basket as the stock events name it: one line per product."""
    total: dict[int, int] = {}
    for product_id, quantity in basket:
        total[product_id] = total.get(product_id, 0) + quantity
    return [{"product_id": product_id, "quantity": total[product_id]} for product_id in sorted(total)]


def declared(events: frozenset[str]) -> Status:
    """Say where an order stands that has heard of these events."""
    if PAID in events:
        return Status.FAILED if events & REFUSALS else Status.COMPLETED
    return Status.CANCELLED if events & REFUSALS else Status.CREATED


@examples(60)
@given(schedules(st.sampled_from([PAID, PAYMENT_FAILED, STOCK_REJECTED])), baskets)
async def test_whatever_arrives_however_often_and_at_once_ends_as_the_set_of_events_declares(
    store: Store, schedule: list[Burst[str]], basket: list[tuple[int, int]]
) -> None:
    order_id = await store.place(basket)
    await store.play(schedule, order_id)
    steps, events = await store.history(order_id), arrived(schedule)
    statuses = [status for status, _ in steps]
    assert statuses[-1] is declared(events)
    assert steps[0] == (Status.CREATED, "checkout")
    assert len(set(statuses)) == len(statuses) == 1 + (PAID in events) + bool(events & REFUSALS)
    assert {cause for _, cause in steps[1:]} <= {CAUSES[event] for event in events}
    refused_by = next((cause for _, cause in steps if cause in ("payment_failed", "stock_rejected")), None)
    assert (refused_by is None) is not bool(events & REFUSALS)
    first = first_of(schedule, REFUSALS.__contains__)
    # Of refusals in one burst either may be first, and a refusal after `cancelled` is in no history row.
    assert refused_by is None or refused_by in {CAUSES[event] for event in first}
    rollbacks = await store.published(order_id, "stock.rollback")
    assert len(rollbacks) == (refused_by == "payment_failed")
    assert all(rollback["products"] == summed(basket) for rollback in rollbacks)


@examples(40)
@given(baskets)
async def test_any_basket_is_stored_and_published_with_the_same_exact_total(
    store: Store, basket: list[tuple[int, int]]
) -> None:
    order_id = await store.place(basket)
    total = sum(PRICES[product_id] * quantity for product_id, quantity in basket)
    async with store.db.driver() as connection:
        row = await connection.fetchrow(
            "SELECT total_amount, total_qty, (SELECT sum(price * quantity) FROM order_items WHERE order_id = o.id) "
            "AS lines FROM orders o WHERE id = $1",
            order_id,
        )
    assert row is not None
    assert dict(row) == {"total_amount": total, "total_qty": sum(quantity for _, quantity in basket), "lines": total}
    [created] = await store.published(order_id, "order.created")
    [updated] = await store.published(order_id, "stock.updated")
    assert created["total_amount"] == total
    assert sorted(updated["products"], key=lambda line: line["product_id"]) == summed(basket)

"""The customer cancels: who may, once, what is published with it, and what a payment at the same moment does."""

import asyncio
from functools import partial
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from chassis.config.settings import load
from orderfc.config import Settings
from orderfc.model import Cause
from orderfc.repository import transitions
from testkit import eventually

from .conftest import Shop, body, open_shop
from .test_events import placed, tell

WAITS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
STEPS = "SELECT status, cause FROM order_history WHERE order_id = $1 ORDER BY id"
EVENTS = """
SELECT topic, payload::text AS payload FROM outbox
WHERE key = 'order-' || $1::bigint AND topic IN ('stock.rollback', 'order.cancelled') ORDER BY id
"""


async def cancel(shop: Shop, user: dict[str, str], order_id: int, **body: Any) -> httpx2.Response:
    return await shop.http.post(f"/v1/orders/{order_id}/cancel", headers=user, json=body)


async def steps(shop: Shop, order_id: int) -> list[tuple[int, str]]:
    return [tuple(row) for row in await shop.rows(STEPS, order_id)]


async def events(shop: Shop, order_id: int) -> list[str]:
    return [row["topic"] for row in await shop.rows(EVENTS, order_id)]


async def test_an_open_order_is_cancelled_with_its_rollback_and_its_event_in_one_commit(shop: Shop) -> None:
    user = shop.user()
    order_id = await placed(shop, user)
    answer = await cancel(shop, user, order_id, reason="  ordered by mistake ")
    assert answer.status_code == 200
    assert answer.json() == await shop.order(user, order_id)
    assert answer.json()["status"] == "cancelled"
    assert [step["status"] for step in answer.json()["history"]] == ["created", "cancelled"]
    assert await steps(shop, order_id) == [(0, "checkout"), (3, "customer")]
    rows = await shop.rows(EVENTS.replace("payload::text AS payload", "payload ->> 'reason' AS reason, xmin"), order_id)
    assert [(row["topic"], row["reason"]) for row in rows] == [
        ("stock.rollback", None),
        ("order.cancelled", "ordered by mistake"),
    ]
    written = await shop.value("SELECT xmin FROM orders WHERE id = $1", order_id)
    assert {row["xmin"] for row in rows} == {written}


async def test_cancelling_twice_or_twenty_times_at_once_changes_nothing_more(shop: Shop) -> None:
    user = shop.user()
    order_id = await placed(shop, user)
    answers = await asyncio.gather(*(cancel(shop, user, order_id) for _ in range(20)))
    answers.append(await cancel(shop, user, order_id, reason="again"))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["status"] for answer in answers} == {"cancelled"}
    assert await steps(shop, order_id) == [(0, "checkout"), (3, "customer")]
    assert await events(shop, order_id) == ["stock.rollback", "order.cancelled"]


async def test_an_order_that_was_cancelled_by_its_payment_is_answered_as_it_is(shop: Shop) -> None:
    user = shop.user()
    order_id = await placed(shop, user)
    await tell(shop, "payment.failed", order_id)
    assert (await cancel(shop, user, order_id)).status_code == 200
    assert await steps(shop, order_id) == [(0, "checkout"), (3, "payment_failed")]
    assert await events(shop, order_id) == ["stock.rollback"]


@pytest.mark.parametrize("topics", [["payment.success"], ["payment.success", "stock.rejected"]])
async def test_a_paid_order_can_not_be_cancelled(shop: Shop, topics: list[str]) -> None:
    user = shop.user()
    order_id = await placed(shop, user)
    for topic in topics:
        await tell(shop, topic, order_id)
    before = await shop.order(user, order_id)
    answer = await cancel(shop, user, order_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_cancellable")
    assert await shop.order(user, order_id) == before
    assert await events(shop, order_id) == []


async def test_an_order_is_cancelled_by_its_owner_or_an_administrator_and_by_nobody_else(shop: Shop) -> None:
    user = shop.user()
    order_id = await placed(shop, user)
    for answer in (await cancel(shop, shop.user(), order_id), await cancel(shop, user, 2**62)):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await shop.http.post(f"/v1/orders/{order_id}/cancel", json={})).status_code == 401
    assert (await shop.order(user, order_id))["status"] == "created"
    assert (await cancel(shop, shop.user(role="admin"), order_id)).json()["status"] == "cancelled"


@pytest.mark.parametrize("reason", ["", "   ", "x" * 256, 7, "a\x00b"])
async def test_a_reason_that_no_event_can_carry_is_refused(shop: Shop, reason: object) -> None:
    user = shop.user()
    order_id = await placed(shop, user)
    answer = await cancel(shop, user, order_id, reason=reason)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert (await shop.order(user, order_id))["status"] == "created"


@pytest.mark.parametrize("content", ["1.5", "1e400", "7", '"x"', "[]", "null", ""])
async def test_a_body_that_is_no_object_cancels_nothing(shop: Shop, content: str) -> None:
    user = shop.user()
    order_id = await placed(shop, user)
    headers = user | {"Content-Type": "application/json"}
    answer = await shop.http.post(f"/v1/orders/{order_id}/cancel", headers=headers, content=content)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert (await shop.order(user, order_id))["status"] == "created"


@pytest.mark.parametrize(("topic", "end"), [("payment.success", 4), ("payment.failed", 3), ("stock.rejected", 3)])
async def test_what_arrives_after_the_cancellation_publishes_nothing_and_money_fails_the_order(
    shop: Shop, topic: str, end: int
) -> None:
    user = shop.user()
    order_id = await placed(shop, user)
    await cancel(shop, user, order_id)
    await tell(shop, topic, order_id)
    assert (await steps(shop, order_id))[-1][0] == end
    assert await events(shop, order_id) == ["stock.rollback", "order.cancelled"]


@pytest.mark.parametrize(
    ("first", "status", "end", "published"),
    [
        (Cause.PAID, 409, 2, []),
        (Cause.STOCK_REJECTED, 200, 3, []),
    ],
)
async def test_an_event_that_is_being_applied_is_waited_for_and_decides(
    shop: Shop, first: Cause, status: int, end: int, published: list[str]
) -> None:
    user = shop.user()
    order_id = await placed(shop, user)
    async with shop.db.transaction() as tx:
        await transitions.apply_in(tx, "orderfc", [(uuid4(), order_id)], first)
        asked = asyncio.create_task(cancel(shop, user, order_id))
        await eventually(partial(_waits, shop))
    assert (await asked).status_code == status
    assert (await steps(shop, order_id))[-1][0] == end
    assert await events(shop, order_id) == published


async def _waits(shop: Shop) -> bool:
    return bool(await shop.value(WAITS))


async def test_a_cancelled_order_makes_room_for_another(settings: Settings) -> None:
    limited = load(Settings, **{**settings.model_dump(), "max_open_orders_per_user": 1})
    async with open_shop(limited) as shop:
        user = shop.user()
        order_id = await placed(shop, user)
        assert (await shop.checkout(user, body())).status_code == 429
        await cancel(shop, user, order_id)
        assert (await shop.checkout(user, body())).status_code == 201

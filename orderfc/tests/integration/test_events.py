"""What payment.success, payment.failed and stock.rejected do to an order on a real database."""

import asyncio
import itertools
import json
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from chassis.errors import InvalidMessage, NotYet

from .conftest import Shop, body, message

VALUES = {
    "payment.success": '{"order_id":%d,"status":"PAID","topic":"payment.success"}',
    "payment.failed": '{"order_id":%d,"status":"EXPIRED","topic":"payment.failed","reason":"expired"}',
    "stock.rejected": '{"order_id":%d,"products":[{"product_id":1,"qty":1}],"reason":"x","event_time":"t"}',
}


async def placed(shop: Shop, user: dict[str, str]) -> int:
    return int((await shop.checkout(user, body({"product_id": 1, "quantity": 2}))).json()["order_id"])


async def tell(shop: Shop, topic: str, order_id: int, event_id: str | None = None) -> None:
    await shop.deliver(message(topic, (VALUES[topic] % order_id).encode(), event_id or str(uuid4())))


async def received(shop: Shop, topic: str, order_id: int, event_id: str) -> int:
    sent = message(topic, (VALUES[topic] % order_id).encode(), event_id)
    return int(await shop.value("SELECT count(*) FROM inbox WHERE event_id = $1", sent.identity))


async def rollbacks(shop: Shop, order_id: int) -> list[dict[str, object]]:
    rows = await shop.rows(
        "SELECT payload::text FROM outbox WHERE topic = 'stock.rollback' AND key = $1", f"order-{order_id}"
    )
    return [json.loads(row["payload"]) for row in rows]


def declared(topics: set[str]) -> str:
    refused = bool(topics & {"payment.failed", "stock.rejected"})
    if "payment.success" in topics:
        return "failed" if refused else "completed"
    return "cancelled" if refused else "created"


@pytest.mark.parametrize("topics", [order for size in (1, 2, 3) for order in itertools.permutations(VALUES, size)])
async def test_whatever_the_order_of_arrival_and_however_often_the_end_is_the_same(
    shop: Shop, topics: tuple[str, ...]
) -> None:
    user = shop.user()
    order_id = await placed(shop, user)
    for topic in (*topics, *topics):
        event_id = str(uuid4())
        await tell(shop, topic, order_id, event_id)
        await tell(shop, topic, order_id, event_id)
    shown = await shop.order(user, order_id)
    assert shown["status"] == declared(set(topics))
    assert shown["history"][0]["status"] == "created"
    assert shown["history"][-1]["status"] == shown["status"]
    assert len({step["status"] for step in shown["history"]}) == len(shown["history"])
    first_refusal = next((topic for topic in topics if topic != "payment.success"), None)
    assert len(await rollbacks(shop, order_id)) == (1 if first_refusal == "payment.failed" else 0)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"gocommerce_order_{name}", labels) or 0


async def test_each_change_of_an_order_is_counted_once_with_the_time_since_its_checkout(shop: Shop) -> None:
    created = counted("transitions_total", to="created", cause="checkout")
    before = counted("transitions_total", to="cancelled", cause="stock_rejected")
    ended, seconds = counted("duration_seconds_count", to="cancelled"), counted("duration_seconds_sum", to="cancelled")
    order_id = await placed(shop, shop.user())
    await shop.rows("UPDATE orders SET created_at = now() - interval '90 s' WHERE id = $1", order_id)
    for _ in range(2):
        await tell(shop, "stock.rejected", order_id)
    assert counted("transitions_total", to="created", cause="checkout") == created + 1
    assert counted("transitions_total", to="cancelled", cause="stock_rejected") == before + 1
    assert counted("duration_seconds_count", to="cancelled") == ended + 1
    assert 90 <= counted("duration_seconds_sum", to="cancelled") - seconds < 120


async def test_a_failed_payment_gives_the_stock_back_in_the_golden_shape(shop: Shop) -> None:
    order_id = await placed(shop, shop.user())
    await tell(shop, "payment.failed", order_id)
    [rollback] = await rollbacks(shop, order_id)
    assert isinstance(rollback.pop("event_time"), str)
    assert rollback == {"order_id": order_id, "products": [{"product_id": 1, "quantity": 2}]}


async def test_contradicting_events_at_the_same_instant_end_in_failed_with_one_rollback(shop: Shop) -> None:
    user = shop.user()
    order_id = await placed(shop, user)
    topics = ["payment.success", "payment.failed"] * 4
    await asyncio.gather(*(tell(shop, topic, order_id) for topic in topics))
    assert (await shop.order(user, order_id))["status"] == "failed"
    assert len(await rollbacks(shop, order_id)) == 1


async def test_the_same_event_eight_times_at_once_is_applied_once(shop: Shop) -> None:
    user = shop.user()
    order_id, event_id = await placed(shop, user), str(uuid4())
    await asyncio.gather(*(tell(shop, "payment.failed", order_id, event_id) for _ in range(8)))
    assert len((await shop.order(user, order_id))["history"]) == 2
    assert len(await rollbacks(shop, order_id)) == 1
    assert await received(shop, "payment.failed", order_id, event_id) == 1


async def test_after_the_inbox_was_purged_a_replay_changes_nothing(shop: Shop) -> None:
    user = shop.user()
    order_id = await placed(shop, user)
    for _ in range(2):
        for topic in VALUES:
            await tell(shop, topic, order_id)
        await shop.value("DELETE FROM inbox")
    history = (await shop.order(user, order_id))["history"]
    assert [step["status"] for step in history] == ["created", "completed", "failed"]
    assert len(await rollbacks(shop, order_id)) == 1


@pytest.mark.parametrize("topic", VALUES)
async def test_an_event_for_an_unknown_order_waits_and_leaves_no_trace_in_the_inbox(shop: Shop, topic: str) -> None:
    event_id = str(uuid4())
    with pytest.raises(NotYet):
        await tell(shop, topic, 2**62, event_id)
    assert await received(shop, topic, 2**62, event_id) == 0


@pytest.mark.parametrize(
    ("topic", "value", "reason"),
    [
        ("payment.success", '{"order_id":1,"status":"EXPIRED"}', "status_mismatch"),
        ("payment.success", '{"order_id":1,"status":"paid"}', "status_mismatch"),
        ("payment.failed", '{"order_id":1,"status":"PAID"}', "status_mismatch"),
        ("payment.failed", '{"order_id":1,"status":""}', "status_mismatch"),
        ("payment.success", '{"order_id":1}', "invalid_payload"),
        ("payment.success", '{"order_id":0,"status":"PAID"}', "invalid_payload"),
        ("stock.rejected", '{"order_id":"x"}', "invalid_payload"),
        ("stock.rejected", "[]", "invalid_payload"),
        ("stock.rejected", "{", "invalid_json"),
    ],
)
async def test_an_event_that_can_never_be_applied_is_refused_with_its_reason(
    shop: Shop, topic: str, value: str, reason: str
) -> None:
    with pytest.raises(InvalidMessage) as raised:
        await shop.deliver(message(topic, value.encode()))
    assert raised.value.reason == reason


async def test_the_history_can_only_be_appended_to(shop: Shop) -> None:
    order_id = await placed(shop, shop.user())
    for statement in ("UPDATE order_history SET status = 2", "DELETE FROM order_history"):
        with pytest.raises(Exception, match="append only"):
            await shop.value(f"{statement} WHERE order_id = $1", order_id)

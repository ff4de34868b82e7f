"""Faults between the commit and the publishing of an event: committed events are published, and no others."""

import asyncio
from uuid import uuid4

import orjson
import pytest

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.consumers import assert_completed_once, event_id, event_of, inbox_counts
from tests.chaos.kit.databases import orders_for
from tests.chaos.kit.locks import COMMIT_FAILS, COMMIT_WAITS, at_commit, commit_gate, wait_for_waiters
from tests.chaos.kit.outboxes import answered_order, copies_on_topic, outbox_rows
from tests.chaos.kit.payments import LEASE_S
from tests.chaos.kit.records import Record, put
from tests.chaos.kit.requests import checkout
from tests.chaos.kit.stock import ledger
from tests.kit.bus import PublishedEvent

UNKNOWN_ORDER = 7_000_000_001


async def assert_one_event(arena: Arena, order: int, topic: str) -> None:
    """Check that an order's event has one id and one effect at each consumer, however often it was sent."""
    assert len({event_id(event) for event in await copies_on_topic(arena, order, topic)}) == 1
    assert set((await inbox_counts(arena, await event_of(arena, order, topic))).values()) == {1}


async def products_on_topic(arena: Arena, topic: str) -> set[int]:
    """Return the products in orderfc's events on a topic."""
    own = ("ce_source", b"orderfc")
    events = [orjson.loads(event.value or b"") for event in await arena.bus.read(topic) if own in event.headers]
    return {line["product_id"] for event in events for line in event["products"]}


@pytest.mark.fault(1)
@pytest.mark.parametrize("point", ["orderfc.after_commit", "relay.before_send"])
async def test_an_order_that_was_committed_before_a_kill_is_published_after_the_restart(
    arena: Arena, point: str
) -> None:
    product = await arena.back_office.product(stock=5)
    async with arena.replaced("orderfc", {"FAILPOINTS": f"{point}=kill"}) as orderfc:
        asking = asyncio.create_task(arena.alice.checkout_until_answered(product, 2, uuid4().hex))
        await orderfc.killed()
        [row] = await arena.sql("orderfc", "SELECT order_id FROM order_items WHERE product_id = $1", product["id"])
        waiting = [
            (event["topic"], event["published_at"]) for event in await outbox_rows(arena, "orderfc", row["order_id"])
        ]
        assert waiting == [("order.created", None), ("stock.updated", None)]
        assert await arena.bus.events_of(row["order_id"]) == []
    # The customer got no answer, repeats the request with the same key and gets the same order.
    assert await answered_order(asking) == row["order_id"]
    await arena.complete(row["order_id"])
    await arena.exact()
    assert await orders_for(arena, product) == 1
    assert await ledger(arena, row["order_id"]) == {product["id"]: (2, "TAKEN")}


@pytest.mark.fault(1)
async def test_a_payment_that_was_committed_before_a_kill_completes_its_order_after_the_restart(arena: Arena) -> None:
    _, order = await arena.placed()
    invoice = await arena.invoice(order)
    async with arena.replaced("paymentfc", {"FAILPOINTS": "relay.before_send=kill"}) as paymentfc:
        await arena.shop.pay(invoice["invoice_id"])
        await paymentfc.killed()
        [event] = await outbox_rows(arena, "paymentfc", order)
        assert (event["topic"], event["published_at"]) == ("payment.success", None)
        assert await copies_on_topic(arena, order, "payment.success") == []
    await arena.alice.wait_status(order, "completed", 40)
    await arena.exact()


@pytest.mark.fault(2)
async def test_events_that_were_acknowledged_before_a_kill_are_sent_again_and_have_one_effect(arena: Arena) -> None:
    product = await arena.back_office.product(stock=5)
    async with arena.replaced("orderfc", {"FAILPOINTS": "relay.after_send=kill"}) as orderfc:
        asking = asyncio.create_task(arena.alice.checkout_until_answered(product, 2, uuid4().hex))
        await orderfc.killed()
    order = await answered_order(asking)
    invoice = await arena.invoice(order)
    async with arena.killed("paymentfc", "relay.after_send"):
        await arena.shop.pay(invoice["invoice_id"])
    await arena.alice.wait_status(order, "completed", 40)
    await arena.exact()
    for topic in ("order.created", "stock.updated", "payment.success"):
        assert len(await copies_on_topic(arena, order, topic)) == 2
        await assert_one_event(arena, order, topic)
    await assert_completed_once(arena, product, order, quantity=2)


@pytest.mark.fault(3)
@pytest.mark.parametrize("refused", ["payments", "outbox"])
@pytest.mark.parametrize("happens", ["pay", "expire"])
async def test_payment_and_its_event_commit_together_or_not_at_all(arena: Arena, refused: str, happens: str) -> None:
    _, order = await arena.placed()
    invoice = await arena.invoice(order)
    topic = "payment.success" if happens == "pay" else "payment.failed"
    row = {
        "payments": f"NEW.order_id = {order} AND NEW.status <> 'PENDING'",
        "outbox": f"NEW.key = 'order-{order}' AND NEW.published_at IS NULL",
    }[refused]
    async with at_commit(arena, "paymentfc", refused, row, COMMIT_FAILS):
        await getattr(arena.shop, happens)(invoice["invoice_id"])
        # The callback is stored by a transaction of its own; what it changes comes after Xendit's word.
        assert await arena.shop.deliveries(invoice["invoice_id"], 1) == [200]
        # The events of another order use the same relay: an earlier event would be on the topic by now.
        _, other = await arena.placed()
        await arena.complete(other)
        assert await copies_on_topic(arena, order, topic) == []
        assert await outbox_rows(arena, "paymentfc", order) == []
        assert (await arena.alice.payment(order))["status"] == "PENDING"
        assert await arena.history(order) == ["created"]
    await arena.advance(LEASE_S)
    end = "completed" if happens == "pay" else "cancelled"
    await arena.alice.wait_status(order, end, 60)
    await arena.exact()
    await assert_one_event(arena, order, topic)
    assert await arena.history(order) == ["created", end]


@pytest.mark.fault(4)
async def test_a_checkout_that_fails_when_it_commits_leaves_no_event_and_can_be_made_again(arena: Arena) -> None:
    product, key = await arena.back_office.product(stock=5), uuid4().hex
    async with at_commit(arena, "orderfc", "order_items", f"NEW.product_id = {product['id']}", COMMIT_FAILS):
        answer = await checkout(arena, (product, 1), key=key)
        assert answer.status_code == 500
        _, other = await arena.placed()
        await event_of(arena, other, "stock.updated")
        for topic in ("order.created", "stock.updated"):
            assert product["id"] not in await products_on_topic(arena, topic)
        assert await orders_for(arena, product) == 0
    await arena.complete(other)
    order = int((await checkout(arena, (product, 1), key=key)).json()["order_id"])
    await arena.complete(order)
    await arena.exact()
    assert await orders_for(arena, product) == 1
    assert product["id"] in await products_on_topic(arena, "stock.updated"), "or nothing was looked for above"


@pytest.mark.fault(5)
async def test_an_event_that_commits_after_one_with_a_higher_number_is_published_all_the_same(arena: Arena) -> None:
    slow, quick = [await arena.back_office.product(stock=5) for _ in range(2)]
    async with at_commit(arena, "orderfc", "order_items", f"NEW.product_id = {slow['id']}", COMMIT_WAITS):
        async with commit_gate(arena, "orderfc") as gate:
            asking = asyncio.create_task(arena.alice.checkout(slow, 1))
            await wait_for_waiters(gate, advisory=True)
            overtaking = await arena.alice.checkout(quick, 1)

            async def published() -> bool:
                return all(event["published_at"] for event in await outbox_rows(arena, "orderfc", overtaking))

            await poll(published, "the later event is published", 20, 0.02)
            assert not asking.done()
        overtaken = await answered_order(asking)
    first, second = [await outbox_rows(arena, "orderfc", order) for order in (overtaken, overtaking)]
    assert max(event["id"] for event in first) < min(event["id"] for event in second)
    for order in (overtaken, overtaking):
        await arena.complete(order)
    await arena.exact()


@pytest.mark.fault(86)
async def test_an_event_that_no_broker_takes_is_refused_with_its_change_and_orders_go_on(arena: Arena) -> None:
    product = await arena.back_office.product(stock=9)
    lines = [{"product_id": number, "quantity": 1} for number in range(1_000_001, 1_027_001)]
    key = f"order-{UNKNOWN_ORDER}"
    value = orjson.dumps({"order_id": UNKNOWN_ORDER, "products": lines})
    await put(arena, [Record("stock.updated", key.encode(), value)])
    order = await arena.alice.checkout(product, 2)
    arena.healed()
    await arena.complete(order)

    async def letter() -> PublishedEvent | None:
        return next((each for each in await arena.bus.read("stock.updated.dlq") if each.key == key.encode()), None)

    found = await poll(letter, "the dead letter", 40, 0.2)
    assert dict(found.headers)["x-reason"] == b"handler_failed"
    assert found.value == value
    for table, column, named in (("outbox", "key", key), ("stock_ledger", "order_id", UNKNOWN_ORDER)):
        [row] = await arena.sql("productfc", f"SELECT count(*) AS n FROM {table} WHERE {column} = $1", named)
        assert (table, row["n"]) == (table, 0)
    await arena.exact()

"""A consumer that dies, before or after its commit: each event takes effect exactly once."""

import signal

import pytest

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.consumers import assert_completed_once, event_of
from tests.chaos.kit.locks import products_locked
from tests.chaos.kit.logs import LogTail, metric
from tests.chaos.kit.records import committed
from tests.chaos.kit.stock import ledger

# Each test restarts services; on a busy machine a start takes many seconds.
pytestmark = pytest.mark.timeout(400)


@pytest.mark.fault(15)
async def test_an_event_whose_handler_was_killed_before_its_commit_is_applied_after_the_restart(arena: Arena) -> None:
    product = await arena.back_office.product(stock=5)
    points = {"productfc": "db.before_commit=kill", "paymentfc": "consumer.before_handler/order.created=kill"}
    async with arena.all_replaced({service: {"FAILPOINTS": point} for service, point in points.items()}) as running:
        order = await arena.alice.checkout(product, 2)
        for each in running.values():
            await each.killed()
        assert await ledger(arena, order) == {}
        assert await arena.sql("paymentfc", "SELECT 1 FROM payments WHERE order_id = $1", order) == []
    await arena.pay(order)
    await assert_completed_once(arena, product, order, quantity=2, stock=3)
    await arena.exact()


@pytest.mark.fault(16)
async def test_an_event_that_was_applied_before_a_kill_is_delivered_again_and_changes_nothing(arena: Arena) -> None:
    product = await arena.back_office.product(stock=5)
    topics = {"productfc": "stock.updated", "orderfc": "payment.success"}
    points = {service: {"FAILPOINTS": f"consumer.after_handler/{topic}=kill"} for service, topic in topics.items()}
    async with arena.all_replaced(points) as running:
        order = await arena.alice.checkout(product, 2)
        await running["productfc"].killed()
        assert await ledger(arena, order) == {product["id"]: (2, "TAKEN")}
        offsets = {service: await committed(arena, service) for service in topics}
        await arena.pay(order)
        await running["orderfc"].killed()
    await assert_completed_once(arena, product, order, quantity=2, stock=3)
    await arena.bus.consumed()
    for service, topic in topics.items():
        now = await committed(arena, service)
        moved = sum(end - offsets[service].get(place, 0) for place, end in now.items() if place.topic == topic)
        assert moved == 1, "it was delivered to the next process"
    url = arena.stack.layout.url("productfc")
    assert (
        await metric(
            arena,
            url,
            "messaging_client_consumed_messages_total",
            messaging_destination_name="stock.updated",
            error_type="",
        )
        == 1
    )
    assert await metric(arena, url, "gocommerce_stock_takes_total") == 0, "the inbox stands before the stock"
    await arena.exact()


@pytest.mark.fault(16)
async def test_events_that_were_applied_together_before_a_kill_come_again_and_change_nothing(arena: Arena) -> None:
    product = await arena.back_office.product(stock=50)
    # Six partitions: after their first messages, which wait for the product, the hits are those of runs.
    async with arena.replaced("productfc", {"FAILPOINTS": "consumer.after_handler/stock.updated=kill@8"}) as mortal:
        async with products_locked(arena, product):
            orders = [await arena.alice.checkout(product, 1) for _ in range(24)]
            await event_of(arena, orders[-1], "stock.updated")
        await mortal.killed()
        taken = [order for order in orders if await ledger(arena, order)]
        assert len(taken) >= 8
    await arena.bus.consumed()
    url = arena.stack.layout.url("productfc")
    takes = await metric(arena, url, "gocommerce_stock_takes_total")
    assert takes == len(orders) - len(taken), "what was taken is not taken again"
    assert (
        await metric(
            arena,
            url,
            "messaging_client_consumed_messages_total",
            messaging_destination_name="stock.updated",
            error_type="",
        )
        > takes
    )
    assert await metric(arena, url, "gocommerce_consumer_runs_total", topic="stock.updated", outcome="applied") > 0
    for order in orders:
        assert await ledger(arena, order) == {product["id"]: (1, "TAKEN")}
    assert await arena.back_office.stock(product) == 50 - len(orders)
    await arena.exact()


@pytest.mark.fault(29)
async def test_a_consumer_that_dies_takes_its_process_with_it_and_the_next_one_goes_on(arena: Arena) -> None:
    product = await arena.back_office.product(stock=5)
    async with arena.replaced("productfc", {"FAILPOINTS": "consumer.before_commit/stock.updated=raise"}) as mortal:
        tail = LogTail(mortal.log)
        order = await arena.alice.checkout(product, 2)
        assert await mortal.exit_code() == 1
        assert tail.lines("a part of the service ended by itself", part="consumer")
    pid = arena.pid("productfc")
    arena.signal("productfc", signal.SIGKILL)

    async def restarted() -> bool:
        return arena.pid("productfc") not in (0, pid)

    await poll(restarted, "the supervisor starts productfc again", 30, 0.05)
    arena.healed()
    await arena.stack.ready("productfc")
    await arena.pay(order)
    await assert_completed_once(arena, product, order, quantity=2, stock=3)
    await arena.exact()

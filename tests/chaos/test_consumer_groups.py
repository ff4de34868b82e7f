"""Members of a consumer group that are slow, frozen or replaced: no event is lost or applied twice."""

import signal
from functools import partial

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.consumers import assert_completed_once
from tests.chaos.kit.load import steady_orders
from tests.chaos.kit.logs import FAILPOINT_HIT, STOCK_TAKEN, LogTail, metric
from tests.chaos.kit.records import broker, order_on_another_partition

# Each test restarts services; on a busy machine a start takes many seconds.
pytestmark = pytest.mark.timeout(400)

# Between two orders of the load.
PAUSE_S = 0.1
ASSIGNED = "partitions assigned"


@pytest.mark.fault(17)
async def test_a_partition_that_changes_hands_under_load_is_drained_first_so_nothing_is_worked_on_twice(
    arena: Arena,
) -> None:
    product = await arena.back_office.product(stock=1_000)
    patient = {"KAFKA_SESSION_TIMEOUT_MS": "10000", "FAILPOINTS": "consumer.before_handler/stock.updated=delay:0.3@*"}
    async with arena.replaced("productfc", patient):
        tail = LogTail.of(arena, "productfc")
        async with steady_orders(arena.alice, product, PAUSE_S) as orders:
            for _ in range(2):
                async with arena.replica("productfc", patient, command="worker") as second:

                    async def took_over(url: str = second.url) -> bool:
                        return (
                            await metric(
                                arena,
                                url,
                                "messaging_client_consumed_messages_total",
                                messaging_destination_name="stock.updated",
                            )
                            >= 3
                        )

                    await poll(took_over, "the second member works", 30, 0.1)
        await tail.wait(STOCK_TAKEN, len(orders))
    tries = [line["key"] for line in tail.lines(FAILPOINT_HIT)]
    assert sorted(tries) == sorted(f"order-{order}" for order in orders), "each event was begun once"
    await arena.back_office.wait_stock(product, 1_000 - len(orders))
    await arena.exact()


@pytest.mark.fault(18)
@pytest.mark.parametrize("point", ["consumer.before_handler/stock.updated", "db.before_commit"])
async def test_a_member_that_comes_back_after_another_has_taken_its_partition_changes_nothing(
    arena: Arena, point: str
) -> None:
    """Frozen before its commit, a member locks the inbox row until the database ends its session after 15 s."""
    product = await arena.back_office.product(stock=5)
    async with arena.replaced("productfc", {"FAILPOINTS": f"{point}=delay:1"}) as first:
        tail = LogTail(first.log)
        order = await arena.alice.checkout(product, 2)
        await tail.wait(FAILPOINT_HIT)
        first.signal(signal.SIGSTOP)
        async with arena.replica("productfc", command="worker"):
            await tail.wait(STOCK_TAKEN, order_id=order, deadline_s=60)
            first.signal(signal.SIGCONT)
            await arena.pay(order)
            await tail.wait(ASSIGNED, 3)
        later = await arena.alice.checkout(product, 1)
        await tail.wait(STOCK_TAKEN, order_id=later)
        assert first.process.poll() is None
    await assert_completed_once(arena, product, order, quantity=2, stock=2)
    await arena.exact()


@pytest.mark.fault(19)
async def test_a_handler_slower_than_the_session_keeps_its_member_in_the_group_and_holds_only_its_partition(
    arena: Arena,
) -> None:
    product = await arena.back_office.product(stock=50)
    async with arena.replaced("productfc", {"FAILPOINTS": "consumer.before_handler/stock.updated=delay:6.5"}) as slow:
        tail = LogTail(slow.log)
        order = await arena.alice.checkout(product, 1)
        await tail.wait(FAILPOINT_HIT)
        before = len(tail.lines(ASSIGNED))
        await tail.wait(STOCK_TAKEN, order_id=await order_on_another_partition(arena, product, order))
        assert tail.lines(STOCK_TAKEN, order_id=order) == []
        await tail.wait(STOCK_TAKEN, order_id=order)
        await arena.bus.consumed()
        assert len(tail.lines(ASSIGNED)) == before
        assert len(tail.lines(FAILPOINT_HIT)) == 1
    await arena.pay(order)
    await arena.alice.wait_status(order, "completed", 40)
    await arena.exact()


@pytest.mark.fault(20)
async def test_a_member_whose_loop_was_starved_past_its_session_joins_again_and_doubles_nothing(arena: Arena) -> None:
    product = await arena.back_office.product(stock=5)
    async with arena.replaced("productfc", {"FAILPOINTS": "consumer.before_handler/stock.updated=block:5"}) as starved:
        tail = LogTail(starved.log)
        order = await arena.alice.checkout(product, 2)
        await tail.wait(FAILPOINT_HIT)
        before = len(tail.lines(ASSIGNED))
        await tail.wait(ASSIGNED, before + 1)
        await tail.wait(STOCK_TAKEN, order_id=order)
        await tail.wait(STOCK_TAKEN, order_id=await arena.alice.checkout(product, 1))
        assert starved.process.poll() is None
    await arena.pay(order)
    await assert_completed_once(arena, product, order, quantity=2, stock=2)
    await arena.exact()


@pytest.mark.fault(85)
async def test_a_process_that_was_paused_past_its_session_goes_on_without_an_exit(arena: Arena) -> None:
    product = await arena.back_office.product(stock=50)
    async with arena.replaced("paymentfc") as paused:
        tail = LogTail(paused.log)
        for _ in range(3):
            await arena.invoice(await arena.alice.checkout(product, 1))
            await arena.bus.consumed()
            paused.signal(signal.SIGSTOP)
            try:
                await poll(partial(_group_is_empty, arena, "paymentfc"), "the session ends", 30)
                order = await arena.alice.checkout(product, 1)
            finally:
                paused.signal(signal.SIGCONT)
            arena.healed()
            await poll(partial(_has_payment, arena, order), "the event is consumed", 30, 0.05)
        await arena.bus.consumed()
        assert paused.process.poll() is None
        assert tail.lines("a part of the service ended by itself") == []
    await arena.exact()


async def _has_payment(arena: Arena, order: int) -> bool:
    return bool(await arena.sql("paymentfc", "SELECT 1 FROM payments WHERE order_id = $1", order))


async def _group_is_empty(arena: Arena, group: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker(arena))
    await admin.start()
    try:
        [answer] = await admin.describe_consumer_groups([group])
        return not answer.groups[0][5]
    finally:
        await admin.close()

"""Faults of the consumers' processes: killed, frozen, slow, replaced or cut off, they lose and double no event."""

import asyncio
import signal

import pytest

from fc.demo.shop import poll
from testkit.proxy import Proxy
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.consumers import assert_completed_once, event_id, event_of, inbox_counts
from tests.chaos.kit.locks import products_locked
from tests.chaos.kit.logs import LogTail, metric
from tests.chaos.kit.records import Record, committed, elsewhere, put
from tests.chaos.kit.stock import ledger

# Each test restarts services; on a busy machine a start takes many seconds.
pytestmark = pytest.mark.timeout(400)

TAKEN = "stock update applied"
HIT = "failpoint hit"
ASSIGNED = "partitions assigned"


async def pay(arena: Arena, order: int) -> None:
    """Pay an order's invoice once there is one."""
    await arena.shop.pay((await arena.invoice(order))["invoice_id"])


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
    await pay(arena, order)
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
        await pay(arena, order)
        await running["orderfc"].killed()
    await assert_completed_once(arena, product, order, quantity=2, stock=3)
    await arena.bus.consumed()
    for service, topic in topics.items():
        now = await committed(arena, service)
        moved = sum(end - offsets[service].get(place, 0) for place, end in now.items() if place.topic == topic)
        assert moved == 1, "it was delivered to the next process"
    url = arena.stack.layout.url("productfc")
    assert await metric(arena, url, "consumer_messages_total", topic="stock.updated", outcome="applied") == 1
    assert await metric(arena, url, "stock_takes_total") == 0, "the inbox stands before the stock"
    await arena.exact()


@pytest.mark.fault(17)
async def test_a_partition_that_changes_hands_under_load_is_drained_first_so_nothing_is_worked_on_twice(
    arena: Arena,
) -> None:
    product = await arena.back_office.product(stock=1_000)
    patient = {"KAFKA_SESSION_TIMEOUT_MS": "10000", "FAILPOINTS": "consumer.before_handler/stock.updated=delay:0.3@*"}
    orders: list[int] = []
    stop = asyncio.Event()

    async def shopping() -> None:
        while not stop.is_set():
            orders.append(await arena.alice.checkout(product, 1))
            await asyncio.sleep(0.1)

    async with arena.replaced("productfc", patient):
        tail = LogTail.of(arena, "productfc")
        load = asyncio.create_task(shopping())
        try:
            for _ in range(2):
                async with arena.replica("productfc", patient, command="worker") as second:

                    async def took_over(url: str = second.url) -> bool:
                        return await metric(arena, url, "consumer_messages_total", topic="stock.updated") >= 3

                    await poll(took_over, "the second member works", 30, 0.1)
        finally:
            stop.set()
            await load
        await tail.wait(TAKEN, len(orders))
    tries = [line["key"] for line in tail.lines(HIT)]
    assert sorted(tries) == sorted(f"order-{order}" for order in orders), "each event was begun once"
    await arena.back_office.wait_stock(product, 1_000 - len(orders))
    await arena.exact()


@pytest.mark.fault(18)
@pytest.mark.parametrize("point", ["consumer.before_handler/stock.updated", "db.before_commit"])
async def test_a_member_that_comes_back_after_another_has_taken_its_partition_changes_nothing(
    arena: Arena, point: str
) -> None:
    """Frozen before the commit it holds the inbox row, until the database ends its session after 15 s."""
    product = await arena.back_office.product(stock=5)
    async with arena.replaced("productfc", {"FAILPOINTS": f"{point}=delay:1"}) as first:
        tail = LogTail(first.log)
        order = await arena.alice.checkout(product, 2)
        await tail.wait(HIT)
        first.signal(signal.SIGSTOP)
        async with arena.replica("productfc", command="worker"):
            await tail.wait(TAKEN, order_id=order, deadline_s=60)
            first.signal(signal.SIGCONT)
            await pay(arena, order)
            await tail.wait(ASSIGNED, 3)
        later = await arena.alice.checkout(product, 1)
        await tail.wait(TAKEN, order_id=later)
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
        await tail.wait(HIT)
        before = len(tail.lines(ASSIGNED))
        await tail.wait(TAKEN, order_id=await elsewhere(arena, product, order))
        assert tail.lines(TAKEN, order_id=order) == []
        await tail.wait(TAKEN, order_id=order)
        await arena.bus.consumed()
        assert len(tail.lines(ASSIGNED)) == before
        assert len(tail.lines(HIT)) == 1
    await pay(arena, order)
    await arena.alice.wait_status(order, "completed", 40)
    await arena.exact()


@pytest.mark.fault(20)
async def test_a_member_whose_loop_was_starved_past_its_session_joins_again_and_doubles_nothing(arena: Arena) -> None:
    product = await arena.back_office.product(stock=5)
    async with arena.replaced("productfc", {"FAILPOINTS": "consumer.before_handler/stock.updated=block:5"}) as starved:
        tail = LogTail(starved.log)
        order = await arena.alice.checkout(product, 2)
        await tail.wait(HIT)
        before = len(tail.lines(ASSIGNED))
        await tail.wait(ASSIGNED, before + 1)
        await tail.wait(TAKEN, order_id=order)
        await tail.wait(TAKEN, order_id=await arena.alice.checkout(product, 1))
        assert starved.process.poll() is None
    await pay(arena, order)
    await assert_completed_once(arena, product, order, quantity=2, stock=2)
    await arena.exact()


@pytest.mark.fault(25)
async def test_events_wait_for_a_database_that_is_away_and_none_is_given_up(arena: Arena) -> None:
    product = await arena.back_office.product(stock=9)
    wire = Proxy("127.0.0.1", arena.stack.layout.port("postgres"))
    async with wire:
        there = {"DB_HOST": wire.host, "DB_PORT": str(wire.port), "CONSUMER_MAX_TRIES": "1"}
        async with arena.replaced("paymentfc", there) as charging:
            tail = LogTail(charging.log)
            await wire.refuse()
            orders = [await arena.alice.checkout(product, 1) for _ in range(3)]
            await tail.wait("dependency is away, the partition waits", topic="order.created")
            assert (await arena.client.get(f"{charging.url}/ready")).status_code == 503
            # So long the outage lasts: nothing is waited for.
            await asyncio.sleep(5)
            await wire.restore()
            arena.healed()
            for order in orders:
                await pay(arena, order)
    for order in orders:
        await arena.alice.wait_status(order, "completed", 40)
        assert set((await inbox_counts(arena, await event_of(arena, order, "order.created"))).values()) == {1}
        assert await arena.shop.invoices(order) == 1
    keys = {letter.key for letter in await arena.bus.read("order.created.dlq")}
    assert keys.isdisjoint(f"order-{order}".encode() for order in orders)
    await arena.exact()


@pytest.mark.fault(25)
async def test_an_event_that_waits_for_a_locked_row_is_tried_again_and_holds_only_its_partition(arena: Arena) -> None:
    """The lock outlives the statement's 5 s."""
    product, other = await arena.back_office.product(stock=5), await arena.back_office.product(stock=50)
    tail = LogTail(arena.stack.layout.log("productfc"))
    async with products_locked(arena, product):
        order = await arena.alice.checkout(product, 2)
        await tail.wait("dependency is away, the partition waits", order_id=order)
        await tail.wait(TAKEN, order_id=await elsewhere(arena, other, order))
        assert await ledger(arena, order) == {}
    await pay(arena, order)
    await assert_completed_once(arena, product, order, quantity=2, stock=3)
    await arena.exact()


@pytest.mark.fault(26)
async def test_the_offset_of_a_poison_message_stays_until_its_dead_letter_is_kept_even_over_a_kill(
    arena: Arena,
) -> None:
    product = await arena.back_office.product(stock=5)
    order = await arena.alice.checkout(product, 2)
    event = await event_of(arena, order, "order.created")
    await arena.bus.consumed()
    poison = [
        Record(topic, event.key or b"", f"no JSON {topic} {event_id(event)}".encode())
        for topic in ("stock.updated", "order.created")
    ]
    groups = ("productfc", "paymentfc")
    slow = {"FAILPOINTS": "consumer.before_handler=delay:1"}
    async with arena.all_replaced(dict.fromkeys(groups, slow)) as running:
        tails = [LogTail(running[group].log) for group in groups]
        before = [await committed(arena, group) for group in groups]
        await put(arena, poison)
        for tail in tails:
            await tail.wait(HIT)
        async with arena.broken("kafka", "refuse"):
            for tail in tails:
                await tail.wait("dead letter not written yet")
            running["paymentfc"].signal(signal.SIGKILL)
            await running["paymentfc"].killed()
        await arena.bus.dead_letter(poison[0].topic, poison[0].value or b"")
        assert await committed(arena, "paymentfc") == before[1]
    letters = [await arena.bus.dead_letter(record.topic, record.value or b"") for record in poison]
    assert [letter["x-reason"] for letter in letters] == ["invalid_json", "invalid_json"]
    await arena.bus.consumed()
    for group, offsets in zip(groups, before, strict=True):
        assert sum((await committed(arena, group)).values()) - sum(offsets.values()) == 1
    await pay(arena, order)
    await assert_completed_once(arena, product, order, quantity=2, stock=3)
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
    await pay(arena, order)
    await assert_completed_once(arena, product, order, quantity=2, stock=3)
    await arena.exact()

"""Consumers without their database or broker: events wait, and no offset passes an event that is not handled."""

import asyncio
import signal
from functools import partial

import pytest

from fc.demo.shop import poll
from testkit.proxy import Proxy
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.consumers import assert_completed_once, event_id, event_of, inbox_counts
from tests.chaos.kit.locks import products_locked
from tests.chaos.kit.logs import FAILPOINT_HIT, STOCK_TAKEN, LogTail
from tests.chaos.kit.records import Record, committed, order_on_another_partition, put
from tests.chaos.kit.stock import ledger

# Each test restarts services; on a busy machine a start takes many seconds.
pytestmark = pytest.mark.timeout(400)

# Long enough for several attempts at each event: the consumer backs off from 0.4 s.
OUTAGE_S = 5


async def _is_not_ready(arena: Arena, url: str) -> bool:
    return (await arena.client.get(f"{url}/ready")).status_code == 503


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
            await poll(partial(_is_not_ready, arena, charging.url), "paymentfc is not ready", 10)
            await asyncio.sleep(OUTAGE_S)
            await wire.restore()
            arena.healed()
            for order in orders:
                await arena.pay(order)
    for order in orders:
        await arena.alice.wait_status(order, "completed", 40)
        assert set((await inbox_counts(arena, await event_of(arena, order, "order.created"))).values()) == {1}
        assert await arena.shop.invoices(order) == 1
    keys = {letter.key for letter in await arena.bus.read("order.created.dlq")}
    assert keys.isdisjoint(f"order-{order}".encode() for order in orders)
    await arena.exact()


@pytest.mark.fault(25)
async def test_an_event_that_waits_for_a_locked_row_is_tried_again_and_holds_only_its_partition(arena: Arena) -> None:
    """The lock is held for longer than the 5 s that a statement waits for it."""
    product, other = await arena.back_office.product(stock=5), await arena.back_office.product(stock=50)
    tail = LogTail(arena.stack.layout.log("productfc"))
    async with products_locked(arena, product):
        order = await arena.alice.checkout(product, 2)
        await tail.wait("dependency is away, the partition waits", order_id=order)
        await tail.wait(STOCK_TAKEN, order_id=await order_on_another_partition(arena, other, order))
        assert await ledger(arena, order) == {}
    await arena.pay(order)
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
            await tail.wait(FAILPOINT_HIT)
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
    await arena.pay(order)
    await assert_completed_once(arena, product, order, quantity=2, stock=3)
    await arena.exact()

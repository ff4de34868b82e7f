"""Operations on topics and groups: replayed dead letters, the first start of a group, more partitions."""

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.consumers import event_id, event_of, inbox_counts
from tests.chaos.kit.load import steady_orders
from tests.chaos.kit.records import broker, delete_group, ends, partitions
from tests.chaos.kit.stock import ledger

# Each test restarts services; on a busy machine a start takes many seconds.
pytestmark = pytest.mark.timeout(400)

# Between two orders of the load.
PAUSE_S = 0.2


@pytest.mark.fault(27)
async def test_a_dead_letter_that_is_replayed_twice_keeps_its_id_and_takes_effect_once(arena: Arena) -> None:
    product = await arena.back_office.product(stock=5)
    unlucky = {"FAILPOINTS": "consumer.before_handler/stock.updated=raise@*", "CONSUMER_MAX_TRIES": "2"}
    async with arena.replaced("productfc", unlucky):
        order = await arena.alice.checkout(product, 2)
        event = await event_of(arena, order, "stock.updated")
        assert (await arena.bus.dead_letter("stock.updated", event.value or b""))["x-reason"] == "handler_failed"
    assert await ledger(arena, order) == {}
    rows = await _dlq(arena, "ls", "--topic", "stock.updated", "--json")
    [place] = [row["place"] for row in rows if row["order_id"] == order]
    for words in (), ("--force",):
        await _dlq(arena, "replay", "stock.updated", place, "--reason", "repaired", "--yes", *words)
        arena.healed()
        await arena.back_office.wait_stock(product, 3)
        await arena.bus.consumed()
    ids = [event_id(seen) for seen in await arena.bus.read("stock.updated") if seen.key == event.key]
    assert ids == [event_id(event)] * 3
    assert await inbox_counts(arena, event) == {"productfc": 1}
    assert await ledger(arena, order) == {product["id"]: (2, "TAKEN")}
    assert await arena.back_office.stock(product) == 3
    await arena.complete(order)
    await arena.exact()


async def _dlq(arena: Arena, *words: str) -> list[dict[str, Any]]:
    """Run `fc dlq` and return its JSON lines."""
    layout = arena.stack.layout
    here = {"FC_NATIVE": "1", "FC_HOME": str(layout.home), "FC_PORT_OFFSET": str(layout.offset)}
    process = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "fc", "dlq", *words],
        env={**os.environ, **here},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return [json.loads(line) for line in process.stdout.splitlines() if "--json" in words]


@pytest.mark.fault(28)
async def test_a_group_that_starts_for_the_first_time_finds_the_events_that_were_there_before_it(arena: Arena) -> None:
    product = await arena.back_office.product(stock=5)
    before = await arena.sql("paymentfc", "SELECT count(*) FROM payments")
    async with arena.stopped("paymentfc"):
        await delete_group(arena, "paymentfc")
        orders = [await arena.alice.checkout(product, 1) for _ in range(3)]
        for order in orders:
            await event_of(arena, order, "order.created")
    for order in orders:
        await arena.complete(order)
        assert await arena.shop.invoices(order) == 1
    after = await arena.sql("paymentfc", "SELECT count(*) FROM payments")
    assert after[0][0] - before[0][0] == len(orders), "what the former group had done is not done again"
    await arena.exact()


@pytest.mark.fault(30)
async def test_events_go_on_when_topics_get_more_partitions_under_load(arena: Arena) -> None:
    """orderfc is restarted, so that its producer uses the new partitions before a consumer knows them."""
    product = await arena.back_office.product(stock=100)
    topics = ("stock.updated", "payment.success")
    counts = {topic: len(await partitions(arena, topic)) for topic in topics}
    async with steady_orders(arena.alice, product, PAUSE_S) as orders:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker(arena))
        await admin.start()
        await admin.create_partitions({topic: NewPartitions(count + 2) for topic, count in counts.items()})
        await admin.close()
        async with arena.stopped("orderfc"):
            pass
        await poll(lambda: _used(arena, "stock.updated", counts["stock.updated"]), "a new partition is used", 30, 0.2)
    for order in orders:
        await arena.complete(order, deadline_s=60)
    await arena.back_office.wait_stock(product, 100 - len(orders))
    assert {order: await ledger(arena, order) for order in orders} == {
        order: {product["id"]: (1, "TAKEN")} for order in orders
    }
    await arena.exact()


async def _used(arena: Arena, topic: str, first: int) -> bool:
    """Whether a partition with a number of at least `first` has records."""
    return any(end for partition, end in (await ends(arena, topic)).items() if partition >= first)

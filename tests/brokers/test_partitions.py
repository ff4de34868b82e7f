"""Partitions are raised under load: keys move to other partitions, and the saga is right all the same.

An order has one event on each topic, so that no two events of one topic and order can change places. Between topics no
order was ever promised: the state of an order does not depend on which event comes first.
"""

from typing import Any

import pytest
from aiokafka.admin import NewPartitions
from aiokafka.partitioner import murmur2

from contracts.topics import PRODUCERS
from fc.demo.shop import poll
from tests.brokers.kit.cluster import admin, partitions, whole
from tests.brokers.kit.orders import count_reaches, orders_at
from tests.brokers.kit.outcome import nothing_lost
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.records import committed


async def counts(arena: Arena) -> dict[str, int]:
    found = [each["topic"] for each in await partitions(arena)]
    return {topic: found.count(topic) for topic in PRODUCERS}


def place(order: int, count: int) -> int:
    return int((murmur2(f"order-{order}".encode()) & 0x7FFFFFFF) % count)


@pytest.mark.long
async def test_keys_move_when_partitions_are_raised_under_load_and_every_order_is_right(arena: Arena) -> None:
    await whole(arena)
    [before] = set((await counts(arena)).values())
    after = before + 5
    async with orders_at(arena) as orders:
        await count_reaches(orders, 100)
        early = list(orders.placed)
        async with admin(arena) as client:
            await client.create_partitions({topic: NewPartitions(after) for topic in PRODUCERS})
        arena.healed()

        async def all_consume_the_new_ones() -> bool:
            return {*range(before, after)} <= {
                each.partition for each in await committed(arena, "productfc") if each.topic == "stock.updated"
            }

        await poll(all_consume_the_new_ones, "events arrive on the new partitions", 90, 0.5)
    assert set((await counts(arena)).values()) == {after}
    moved = [order for order in early if place(order, before) != place(order, after)]
    assert len(moved) > len(early) / 2, "the keys of most orders are elsewhere now"
    await once_each(arena, orders.placed)
    await nothing_lost(arena, orders, f"partitions raised from {before} to {after}")


async def once_each(arena: Arena, orders: list[int]) -> None:
    """Check that each order has one event on each topic of a paid order, whatever number of copies was sent of it."""
    for topic in ("order.created", "stock.updated", "payment.success"):
        ids: dict[bytes, set[Any]] = {}
        for event in await arena.bus.read(topic):
            ids.setdefault(event.key or b"", set()).add(dict(event.headers)["ce_id"])
        assert {order: len(ids[f"order-{order}".encode()]) for order in orders} == dict.fromkeys(orders, 1)

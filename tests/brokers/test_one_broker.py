"""One of three brokers fails under 20 orders a second: no checkout is refused, and no order is lost."""

import asyncio
import signal

import pytest

from contracts.topics import GROUPS
from tests.brokers.kit.cluster import NAMES, replace_by_an_empty_one, restart, up_again, whole
from tests.brokers.kit.orders import count_reaches, delays, orders_at
from tests.brokers.kit.outcome import nothing_lost
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.logs import metric

FROZEN_S, HANGS_S = 8, 40


@pytest.mark.parametrize("name", NAMES)
async def test_a_broker_that_is_killed_costs_no_order_and_no_checkout(arena: Arena, name: str) -> None:
    await whole(arena)
    async with orders_at(arena) as orders:
        await count_reaches(orders, 40)
        arena.signal(name, signal.SIGKILL)
        await count_reaches(orders, 160)
        await up_again(arena, name)
        arena.healed()
    await nothing_lost(arena, orders, f"kill -9 of {name}")


@pytest.mark.parametrize("name", NAMES)
async def test_a_broker_that_is_frozen_costs_no_order_and_no_checkout(arena: Arena, name: str) -> None:
    await whole(arena)
    async with orders_at(arena) as orders:
        await count_reaches(orders, 40)
        async with arena.frozen(name):
            await asyncio.sleep(FROZEN_S)
        await up_again(arena, name)
    await nothing_lost(arena, orders, f"{name} frozen for {FROZEN_S} s")


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
async def test_a_broker_that_hangs_for_long_is_soon_left_by_all(arena: Arena, name: str) -> None:
    await whole(arena)
    async with orders_at(arena) as orders:
        await count_reaches(orders, 40)
        async with arena.frozen(name):
            await asyncio.sleep(HANGS_S)
            for service in GROUPS:
                away = await metric(arena, arena.stack.layout.url(service), "gocommerce_kafka_replicas_missing")
                assert away, "no alert would tell of the broker"
        await up_again(arena, name)
    await nothing_lost(arena, orders, f"{name} frozen for {HANGS_S} s")
    assert (await delays(arena, orders)).applied_s < HANGS_S - 15, "everybody has waited for its return"


@pytest.mark.long
async def test_a_broker_that_is_replaced_by_an_empty_one_copies_everything_and_takes_its_part(arena: Arena) -> None:
    await whole(arena)
    async with orders_at(arena) as orders:
        await count_reaches(orders, 40)
        await replace_by_an_empty_one(arena, "kafka-2")
        arena.healed()
        await whole(arena)
        # Without the one that was empty there is neither a majority of controllers nor a second copy.
        arena.signal("kafka-3", signal.SIGKILL)
        await count_reaches(orders, len(orders.placed) + 60)
        await up_again(arena, "kafka-3")
    await nothing_lost(arena, orders, "kafka-2 replaced by an empty one, then kill -9 of kafka-3")


@pytest.mark.long
async def test_all_brokers_are_restarted_one_after_the_other_under_load(arena: Arena) -> None:
    await whole(arena)
    async with orders_at(arena) as orders:
        await count_reaches(orders, 40)
        for name in NAMES:
            await restart(arena, name)
            # As an operator does: the next one only when this one has caught up.
            await whole(arena)
        arena.healed()
    await nothing_lost(arena, orders, "restart of all three, one after the other")

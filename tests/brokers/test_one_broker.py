"""One of three brokers fails under 20 orders a second: no checkout is refused, and no order is lost."""

import asyncio
import signal

import pytest

from tests.brokers.kit.cluster import NAMES, up_again, whole
from tests.brokers.kit.orders import count_reaches, orders_at
from tests.brokers.kit.outcome import nothing_lost
from tests.chaos.kit.arena import Arena

FROZEN_S = 8


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

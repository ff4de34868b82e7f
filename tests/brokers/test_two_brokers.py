"""Two of three brokers are away: nothing can be written, so events wait in the outboxes, and checkouts go on."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.brokers.kit.cluster import up_again, whole
from tests.brokers.kit.orders import count_reaches, orders_at, unsent
from tests.brokers.kit.outcome import nothing_lost
from tests.chaos.kit.arena import Arena

AWAY = ("kafka-2", "kafka-3")
AWAY_S = 12


@pytest.mark.long
async def test_without_two_brokers_checkouts_go_on_and_their_events_wait(arena: Arena) -> None:
    await whole(arena)
    async with orders_at(arena) as orders:
        await count_reaches(orders, 40)
        async with AsyncExitStack() as exits:
            for name in AWAY:
                await exits.enter_async_context(arena.frozen(name))
            await asyncio.sleep(AWAY_S / 2)
            before = len(orders.placed)
            await asyncio.sleep(AWAY_S / 2)
            placed = orders.placed[before:]
            assert len(placed) > AWAY_S * 5
            # Of each of these orders both events wait, those of its payment among them that there can't be yet.
            assert await unsent(arena, placed) == 2 * len(placed)
        for name in AWAY:
            await up_again(arena, name)
    await nothing_lost(arena, orders, f"two brokers frozen for {AWAY_S} s")


@pytest.mark.long
async def test_of_two_brokers_that_are_stopped_nothing_is_lost_when_they_return(arena: Arena) -> None:
    await whole(arena)
    async with orders_at(arena) as orders:
        await count_reaches(orders, 40)
        async with arena.stopped(*AWAY):
            await count_reaches(orders, len(orders.placed) + 100)
        for name in AWAY:
            await up_again(arena, name)
    await nothing_lost(arena, orders, "two brokers stopped, then started")

"""Faults of the outbox, the relay and the broker: an event that was committed arrives, once in effect and in order."""

import pytest

from tests.chaos.arena import Arena


@pytest.mark.fault(1)
async def test_an_event_that_was_committed_before_a_kill_is_published_after_the_restart(arena: Arena) -> None:
    product = await arena.kitchen.product(stock=5)
    async with arena.killed("orderfc", "relay.before_send"):
        order = await arena.alice.checkout_until_answered(product, 2, key=f"fault-1-{product['id']}")
    await arena.complete(order)
    await arena.exact()


@pytest.mark.fault(8)
async def test_checkout_works_without_a_broker_and_the_backlog_drains_in_order(arena: Arena) -> None:
    product = await arena.kitchen.product(stock=5)
    async with arena.broken("kafka", "refuse"):
        order = await arena.alice.checkout(product, 1)
    await arena.complete(order)
    await arena.exact()

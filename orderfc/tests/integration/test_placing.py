"""The statements on several keys and orders: who holds a key, what a lost lease does, and that none blocks another."""

import asyncio
import itertools
import random
from collections.abc import Sequence
from decimal import Decimal

from orderfc.model import Draft, Line
from orderfc.repository import idempotency, placing
from orderfc.repository.idempotency import Lease
from orderfc.repository.placing import NewOrder, Payloads
from testkit import eventually

from .conftest import Shop

_firsts = itertools.count(20_000_000, 1_000)
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
HASH = b"\1" * 32


async def stored(shop: Shop, first: int) -> tuple[int, int]:
    """Count the orders, and the keys without one, of the customers from `first` on."""
    return (
        await shop.value("SELECT count(*) FROM orders WHERE user_id BETWEEN $1 AND $1 + 999", first),
        await shop.value(
            "SELECT count(*) FROM idempotency_keys WHERE user_id BETWEEN $1 AND $1 + 999 AND order_id IS NULL", first
        ),
    )


def new_order(lease: Lease) -> NewOrder:
    lines = (Line(1, "Kopi", 1, Decimal(5)),)
    return NewOrder(Draft(lease.user_id, lines, "IDR", "CARD", "here"), Payloads("{}", "{}", {}), lease)


async def test_an_order_whose_lease_was_taken_over_is_not_placed_and_those_beside_it_are(shop: Shop) -> None:
    first = next(_firsts)
    leases = [Lease(first + number, "key", HASH) for number in range(4)]
    await idempotency.reserve(shop.db, leases, 30)
    lost = Lease(first + 2, "key", HASH)
    placed = await placing.place(shop.db, [new_order(lease) for lease in (leases[3], leases[0], lost)], 100)
    assert [one.order_id is not None for one in placed] == [True, True, False]
    assert [one.too_many for one in placed] == [False] * 3
    assert await stored(shop, first) == (2, 2)
    again = await placing.place(shop.db, [new_order(leases[0]), new_order(leases[1])], 100)
    assert [one.order_id is not None for one in again] == [False, True], "a key that is done stays done"
    owners = await shop.rows(
        "SELECT o.user_id, k.user_id AS owner FROM idempotency_keys AS k JOIN orders AS o ON o.id = k.order_id"
        " WHERE k.user_id BETWEEN $1 AND $1 + 999",
        first,
    )
    assert len(owners) == 3
    assert all(row["user_id"] == row["owner"] for row in owners)


async def test_statements_that_meet_at_the_same_keys_never_block_each_other_for_good(shop: Shop) -> None:
    first, chance = next(_firsts), random.Random(1)
    held = [Lease(first + number, "key", HASH) for number in range(40)]
    assert all(one.acquired for one in await idempotency.reserve(shop.db, held, 30))

    async def again() -> int:
        others = [Lease(lease.user_id, lease.key, HASH) for lease in held]
        chance.shuffle(others)
        return sum(one.acquired for one in await idempotency.reserve(shop.db, others, 30))

    async def place(leases: Sequence[Lease]) -> int:
        placed = await placing.place(shop.db, [new_order(lease) for lease in leases], 100)
        return sum(one.order_id is not None for one in placed)

    mixed = chance.sample(held, len(held))
    counts = await asyncio.gather(again(), place(mixed[:20]), again(), place(mixed[20:]), again(), again())
    assert list(counts) == [0, 20, 0, 20, 0, 0]


async def test_of_many_who_reserve_the_same_keys_at_once_each_key_has_one_holder(shop: Shop) -> None:
    first, chance = next(_firsts), random.Random(2)

    async def reserve() -> list[int]:
        leases = [Lease(first + number, "key", HASH) for number in range(30)]
        chance.shuffle(leases)
        ends = await idempotency.reserve(shop.db, leases, 30)
        assert all(end.same_request and end.order_id is None for end in ends)
        return [lease.user_id for lease, end in zip(leases, ends, strict=True) if end.acquired]

    acquired = await asyncio.gather(*(reserve() for _ in range(8)))
    assert sorted(itertools.chain(*acquired)) == [first + number for number in range(30)]


async def test_a_batch_that_waits_for_a_lock_and_loses_its_lease_meanwhile_places_the_others_only(shop: Shop) -> None:
    first = next(_firsts)
    leases = [Lease(first + number, "key", HASH) for number in range(3)]
    await idempotency.reserve(shop.db, leases, 30)
    async with shop.db.transaction() as tx:
        await tx.driver().execute(
            "UPDATE idempotency_keys SET lease_token = gen_random_uuid() WHERE user_id = $1", first + 1
        )
        placing_all = asyncio.create_task(placing.place(shop.db, [new_order(lease) for lease in leases], 100))
        await eventually(lambda: shop.value(WAITING))
    placed = await placing_all
    assert [one.order_id is not None for one in placed] == [True, False, True]
    assert await stored(shop, first) == (2, 1)

"""Three of each service share the work of one load; one of each is killed, and the others take over."""

import signal
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from aiokafka import TopicPartition
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from chassis.db import outbox_queue
from contracts.topics import GROUPS
from fc.demo.shop import poll
from fc.stack.layout import SERVICES
from tests.brokers.kit.cluster import admin, whole
from tests.brokers.kit.orders import count_reaches, orders_at
from tests.brokers.kit.outcome import nothing_lost
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.records import ends
from tests.kit.processes import ServiceProcess

# The lock of relays: other advisory locks are held under load, too.
RELAYS = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND classid::bigint = $1 AND objid::bigint = $2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

Members = dict[str, list[TopicPartition]]


async def members(arena: Arena, group: str) -> Members:
    """Return the partitions of each member of a consumer group."""
    async with admin(arena) as client:
        [answer] = await client.describe_consumer_groups([group])
    [(_, _, _, _, _, found, *_)] = answer.groups
    assigned: Members = {}
    for member, _, _, _, assignment in (each[:5] for each in found):
        partitions = ConsumerProtocolMemberAssignment.decode(assignment).assignment if assignment else []
        assigned[member] = [TopicPartition(topic, number) for topic, numbers in partitions for number in numbers]
    return assigned


async def shared_by(arena: Arena, count: int) -> dict[str, Members]:
    """Wait until each group has so many members, each with partitions."""

    async def shared() -> dict[str, Members]:
        found = {group: await members(arena, group) for group in GROUPS}
        right = all(len(each) == count and all(each.values()) for each in found.values())
        return found if right else {}

    return dict(await poll(shared, f"{count} members share each group", 120, 0.5))


async def active_relays(arena: Arena) -> dict[str, int]:
    high, low = divmod(outbox_queue._LOCK_ID, 2**32)
    return {service: (await arena.sql(service, RELAYS, high, low))[0][0] for service in GROUPS}


async def one_relay_each(arena: Arena) -> None:
    """Wait until each service has an active relay; there are never two."""

    async def one() -> bool:
        now = await active_relays(arena)
        assert max(now.values()) <= 1, f"two relays of a service are active: {now}"
        return min(now.values()) == 1

    await poll(one, "each service has an active relay", 30, 0.1)


async def shares(arena: Arena, before: Counter[TopicPartition], assigned: Members) -> list[int]:
    """Return how much of a group's new messages was on the partitions of each member, in percent."""
    now = await ended(arena, {each.topic for places in assigned.values() for each in places})
    new = [sum(now[place] - before[place] for place in places) for places in assigned.values()]
    return sorted(round(100 * each / max(sum(new), 1)) for each in new)


async def ended(arena: Arena, topics: set[str]) -> Counter[TopicPartition]:
    return Counter(
        {TopicPartition(topic, number): end for topic in topics for number, end in (await ends(arena, topic)).items()}
    )


@pytest.mark.long
async def test_three_of_each_service_share_the_work_and_one_of_each_may_be_killed(arena: Arena) -> None:
    await whole(arena)
    async with AsyncExitStack() as exits:
        replicas: dict[str, list[ServiceProcess]] = {
            service: [await exits.enter_async_context(arena.replica(service)) for _ in range(2)] for service in SERVICES
        }
        assigned = await shared_by(arena, 3)
        topics = {each.topic for group in assigned.values() for places in group.values() for each in places}
        before = await ended(arena, topics)
        async with orders_at(arena) as orders:
            await count_reaches(orders, 200)
            measured = {group: await shares(arena, before, assigned[group]) for group in GROUPS}
            assert all(min(each) >= 10 for each in measured.values()), measured
            await one_relay_each(arena)
            for service in SERVICES:
                replicas[service][0].signal(signal.SIGKILL)
            await shared_by(arena, 2)
            arena.healed()
            await count_reaches(orders, len(orders.placed) + 60)
        await one_relay_each(arena)
        text = "; ".join(f"{group} {', '.join(map(str, each))} %" for group, each in measured.items())
        await nothing_lost(arena, orders, f"one of three of each service killed (shares before: {text})")

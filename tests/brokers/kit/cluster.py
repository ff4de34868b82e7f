"""The state of the brokers: which partitions lack a copy, who leads, and a broker that gets an empty folder."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.kit.bus import brokers_of

NAMES = ("kafka", "kafka-2", "kafka-3")
WHOLE_S = 90


@asynccontextmanager
async def admin(arena: Arena) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=brokers_of(arena.stack), request_timeout_ms=5000)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def partitions(arena: Arena) -> list[dict[str, Any]]:
    """Describe every partition: topic, partition, leader, replicas and isr (in-sync replicas), as ids of nodes."""
    async with admin(arena) as client:
        described = await client.describe_topics()
    return [{**each, "topic": topic["topic"]} for topic in described for each in topic["partitions"]]


async def whole(arena: Arena) -> None:
    """Wait until every partition has all its copies in sync."""

    async def in_sync() -> bool:
        try:
            found = await partitions(arena)
        except Exception:
            return False
        return bool(found) and all(
            set(each["isr"]) == set(each["replicas"]) and len(each["isr"]) == 3 for each in found
        )

    await poll(in_sync, "every partition has three copies in sync", WHOLE_S, 0.2)


async def up_again(arena: Arena, name: str) -> None:
    """Wait until a broker answers."""
    [broker] = [each for each in arena.stack.programs.brokers if each.name == name]
    await poll(broker.ready, f"{name} is back", 60, 0.1)


async def replace_by_an_empty_one(arena: Arena, name: str) -> None:
    """Stop a broker, delete its folder, and start it as one that has never run."""
    [broker] = [each for each in arena.stack.programs.brokers if each.name == name]
    await asyncio.to_thread(arena.stack.supervisor.stop, name)
    shutil.rmtree(broker.home)
    await asyncio.to_thread(broker.prepare)
    arena.stack.supervisor.start(name)
    await up_again(arena, name)


async def restart(arena: Arena, name: str) -> None:
    """Stop a broker by SIGTERM and start it again."""
    await asyncio.to_thread(arena.stack.supervisor.stop, name)
    arena.stack.supervisor.start(name)
    await up_again(arena, name)

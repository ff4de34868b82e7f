"""The Redis client: what it takes for an outage, and what it does not."""

import asyncio
import shutil
import time
from pathlib import Path

import pytest
from redis.asyncio import Redis

from chassis.errors import Unavailable
from chassis.redis.client import TIMEOUT_S, RedisClient
from chassis.redis.patience import patient
from testkit import eventually
from testkit.proxy import Proxy

from .redis_server import RedisServer


async def get(client: Redis) -> object:
    """Read a key."""
    return await client.get("k")


async def hold_up_the_loop(rounds: int) -> None:
    """Keep the event loop from running for longer than the time limit, so many times."""
    for _ in range(rounds):
        # The block of the loop is the subject.
        time.sleep(1.25 * TIMEOUT_S)
        await asyncio.sleep(0)


@pytest.mark.parametrize("connected", [True, False])
async def test_a_loop_that_stands_still_is_no_outage(server: RedisServer, connected: bool) -> None:
    client = server.client()
    await client.raw.set("k", b"1")
    if not connected:
        await client.raw.connection_pool.disconnect()
    lag = asyncio.create_task(hold_up_the_loop(8))
    answers: list[object] = []
    while not lag.done():
        answers += await asyncio.gather(*(client.or_default(get, "default") for _ in range(20)))
    assert answers.count(b"1") == len(answers) >= 20
    assert not client.down
    await client.close()


async def test_a_silent_server_is_given_up_in_time_although_the_loop_is_late() -> None:
    lag = asyncio.create_task(hold_up_the_loop(4))
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        async with patient(TIMEOUT_S):
            await asyncio.Event().wait()
    assert time.monotonic() - started < 5
    await lag


async def lose_disk(redis: Redis, folder: Path) -> None:
    """Have a snapshot fail: Redis then answers each write with MISCONF."""
    await redis.config_set("save", "3600 1")
    shutil.rmtree(folder)
    await redis.bgsave()

    async def failed() -> bool:
        return bool((await redis.info("persistence"))["rdb_last_bgsave_status"] == "err")

    await eventually(failed)


async def refuse_writes(client: RedisClient, reason: str, folder: Path) -> None:
    """Have Redis answer reads and refuse writes."""
    if reason == "replica":
        await client.raw.replicaof("127.0.0.1", "1")
    elif reason == "full":
        await client.raw.config_set("maxmemory", 1)
    elif reason == "no disk":
        await lose_disk(client.raw, folder)
    else:
        await client.raw.config_set("min-replicas-to-write", 1)


@pytest.mark.parametrize("reason", ["replica", "full", "no disk", "alone"])
async def test_a_redis_that_refuses_writes_is_degraded_and_still_read(
    server: RedisServer, tmp_path: Path, reason: str
) -> None:
    client = server.client()
    await client.raw.set("k", b"1")
    await client.ping()
    assert client.without_writes_s == 0
    await refuse_writes(client, reason, tmp_path)
    with pytest.raises(Unavailable, match="refuses writes"):
        await client.ping()
    assert not await client.takes_writes()
    assert await client.or_default(get, "default") == b"1"
    assert not client.down
    assert client.without_writes_s > 0
    await client.raw.replicaof("NO", "ONE")
    await client.raw.config_set("maxmemory", 0, "min-replicas-to-write", 0, "save", "")
    await client.ping()
    assert client.without_writes_s == 0
    await client.close()


@pytest.mark.parametrize("end", ["becomes a replica", "falls silent"])
async def test_a_server_that_another_has_replaced_at_its_address_is_left_within_seconds(
    server: RedisServer, tmp_path: Path, end: str
) -> None:
    successor = RedisServer(tmp_path)
    successor.start()
    async with Proxy("127.0.0.1", server.port) as name:
        client = server.client(name.port)
        assert await asyncio.gather(*(client.takes_writes() for _ in range(20))) == [True] * 20
        name.move(successor.port)
        if end == "becomes a replica":
            former = server.client()
            await former.raw.replicaof("127.0.0.1", "1")
            await former.close()
        else:
            server.freeze()
        assert await eventually(client.takes_writes, deadline_s=5)
        assert await asyncio.gather(*(client.takes_writes() for _ in range(20))) == [True] * 20
        await client.close()
    successor.stop()

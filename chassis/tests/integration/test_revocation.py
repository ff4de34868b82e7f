"""Revocation with a real Redis, without one, and with userfc in every state."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from redis.asyncio import Redis

from chassis.auth.revocation import CURRENT, FILLED, RefusedTokens, Revocations, key
from chassis.config.settings import ServiceSettings
from chassis.errors import Unauthenticated, Unavailable
from chassis.redis.client import RedisClient
from testkit import eventually, free_port

from .redis_server import RedisServer

# The end of a token, in seconds since 1970.
END = 2_000_000_000


@dataclass
class Userfc:
    """Stands in for userfc: valid, revoked, or away."""

    answer: bool | None = True
    asked: list[str] = field(default_factory=list)

    async def validate_token(self, token: str) -> bool:
        """Answer as told."""
        self.asked.append(token)
        if self.answer is None:
            raise Unavailable("away")
        return self.answer


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[RedisClient]:
    result = server.client()
    yield result
    await result.close()


def away() -> RedisClient:
    """Make a client of a Redis that does not run."""
    return RedisClient(ServiceSettings(redis_host="127.0.0.1", redis_port=free_port()))


async def filled(client: RedisClient) -> None:
    """Mark Redis as userfc does after it has written all revoked tokens."""
    await client.raw.mset({FILLED: "run-1", CURRENT: "1"})


async def get(client: Redis) -> object:
    """Read a key."""
    return await client.get("k")


async def test_redis_alone_decides_when_it_answers_and_was_filled(client: RedisClient) -> None:
    userfc = Userfc(answer=None)
    revocations = Revocations(client, userfc)
    await filled(client)
    await revocations.check("j1", "t1", END, mutating=True)
    await client.raw.set(key("j1"), 1, ex=60)
    with pytest.raises(Unauthenticated) as caught:
        await revocations.check("j1", "t1", END, mutating=False)
    assert caught.value.code == "invalid_token"
    assert userfc.asked == []


async def test_a_redis_that_has_lost_its_data_is_not_believed_when_it_knows_nothing(client: RedisClient) -> None:
    userfc = Userfc(answer=False)
    revocations = Revocations(client, userfc)
    await filled(client)
    await client.raw.set(key("j1"), 1, ex=60)
    await client.raw.flushall()
    with pytest.raises(Unauthenticated):
        await revocations.check("j1", "t1", END, mutating=True)
    assert userfc.asked == ["t1"]
    userfc.answer = None
    with pytest.raises(Unavailable):
        await revocations.check("j2", "t2", END, mutating=True)
    await revocations.check("j2", "t2", END, mutating=False)


async def test_without_redis_userfc_is_asked_once_in_two_seconds() -> None:
    client, userfc = away(), Userfc(answer=True)
    revocations = Revocations(client, userfc)
    for _ in range(3):
        await revocations.check("j1", "t1", END, mutating=True)
    assert userfc.asked == ["t1"]
    userfc.answer = False
    with pytest.raises(Unauthenticated):
        await revocations.check("j2", "t2", END, mutating=False)
    with pytest.raises(Unauthenticated):
        await revocations.check("j2", "t2", END, mutating=True)
    assert userfc.asked == ["t1", "t2"]
    await client.close()


async def test_without_both_changes_wait_and_reads_go_on() -> None:
    client, userfc = away(), Userfc(answer=None)
    revocations = Revocations(client, userfc)
    await revocations.check("j1", "t1", END, mutating=False)
    with pytest.raises(Unavailable) as caught:
        await revocations.check("j1", "t1", END, mutating=True)
    assert caught.value.retry_after
    assert len(userfc.asked) == 1, "an authority that is away is not asked by every request"
    await client.close()


async def test_the_breaker_spares_callers_and_closes_again(server: RedisServer, client: RedisClient) -> None:
    assert await client.or_default(get, "default") is None
    server.stop()
    calls = 0

    async def counted(raw: Redis) -> object:
        nonlocal calls
        calls += 1
        return await raw.get("k")

    results = [await client.or_default(counted, "default") for _ in range(50)]
    assert set(results) == {"default"}
    assert calls == 1
    assert client.down
    server.start()

    async def served() -> bool:
        return await client.or_default(get, "default") != "default"

    await eventually(served, 5)
    assert not client.down


async def test_a_rush_of_callers_is_served_and_not_taken_for_an_outage(client: RedisClient) -> None:
    await client.raw.set("k", b"1")
    assert await asyncio.gather(*(client.or_default(get, "default") for _ in range(300))) == [b"1"] * 300
    assert not client.down


async def test_a_restart_between_two_commands_is_not_noticed(server: RedisServer, client: RedisClient) -> None:
    await client.raw.ping()
    server.stop()
    server.start()
    assert await client.or_default(get, "default") is None


async def test_a_silent_redis_is_not_waited_for() -> None:
    over = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = RedisClient(ServiceSettings(redis_host="127.0.0.1", redis_port=port))
    async with asyncio.timeout(20):
        assert await client.or_default(get, "default") == "default"
        with pytest.raises(Unavailable):
            await client.ping()
    await client.close()
    over.set()
    server.close()


async def test_a_mark_that_was_not_renewed_is_not_believed_while_userfc_answers(client: RedisClient) -> None:
    userfc = Userfc(answer=False)
    await client.raw.set(FILLED, "run-1")
    with pytest.raises(Unauthenticated):
        await Revocations(client, userfc).check("j1", "t1", END, mutating=False)
    assert userfc.asked == ["t1"]


async def test_without_userfc_a_copy_that_is_late_counts_as_long_as_redis_takes_writes(client: RedisClient) -> None:
    userfc = Userfc(answer=None)
    revocations = Revocations(client, userfc)
    await client.raw.mset({FILLED: "run-1", key("j1"): "1"})
    await revocations.check("j2", "t2", END, mutating=True)
    with pytest.raises(Unauthenticated):
        await revocations.check("j1", "t1", END, mutating=False)
    await client.raw.config_set("min-replicas-to-write", 1)
    with pytest.raises(Unavailable):
        await revocations.check("j3", "t3", END, mutating=True)
    await revocations.check("j3", "t3", END, mutating=False)
    assert len(userfc.asked) == 1, "a userfc that is away is asked once a second"


async def test_a_token_that_was_refused_once_is_refused_for_good(server: RedisServer, client: RedisClient) -> None:
    userfc = Userfc(answer=None)
    revocations = Revocations(client, userfc)
    await filled(client)
    await client.raw.set(key("j1"), 1, ex=60)
    with pytest.raises(Unauthenticated):
        await revocations.check("j1", "t1", END, mutating=True)
    await client.raw.delete(key("j1"))
    with pytest.raises(Unauthenticated):
        await revocations.check("j1", "t1", END, mutating=False)
    server.stop()
    with pytest.raises(Unauthenticated):
        await revocations.check("j1", "t1", END, mutating=False)
    await revocations.check("j2", "t2", END, mutating=False)


def test_of_too_many_refused_tokens_the_first_to_end_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.auth.revocation.REFUSED_SIZE", 2)
    refused = RefusedTokens()
    for name, end in (("late", 30), ("early", 10), ("middle", 20), ("late", 30)):
        refused.add(name, end)
    assert [name in refused for name in ("late", "early", "middle")] == [True, False, True]


async def test_the_cache_of_answers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.auth.revocation.CACHE_SIZE", 3)
    client, userfc = away(), Userfc(answer=True)
    revocations = Revocations(client, userfc)
    for number in range(10):
        await revocations.check(f"j{number}", f"t{number}", END, mutating=True)
    await revocations.check("j9", "t9", END, mutating=True)
    await revocations.check("j0", "t0", END, mutating=True)
    assert userfc.asked == [*(f"t{number}" for number in range(10)), "t0"]
    await client.close()

"""Rate limits on a real Redis: tries at the same time share a round trip and are counted exactly."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chassis.auth.limits import Limit, TooManyTries
from chassis.redis.client import RedisClient
from testkit import eventually

from .redis_server import RedisServer

AMOUNT = 5
SUBJECTS = "abcdef"


@pytest.fixture
async def clients(server: RedisServer) -> AsyncIterator[list[RedisClient]]:
    """The clients of two replicas."""
    result = [server.client(), server.client()]
    yield result
    for client in result:
        await client.close()


async def allowed(limits: list[Limit], tries: int, subjects: str = SUBJECTS) -> Counter[str]:
    """Let each subject try so often, all at once and spread over the replicas; count the tries that were allowed."""

    async def hit(number: int, subject: str) -> str:
        try:
            await limits[number % len(limits)].hit(subject)
        except TooManyTries:
            return ""
        return subject

    ends = await asyncio.gather(*(hit(number, subject) for number in range(tries) for subject in subjects))
    return Counter(filter(None, ends))


async def test_of_tries_at_the_same_time_in_two_replicas_each_subject_has_exactly_its_amount(
    clients: list[RedisClient],
) -> None:
    limits = [Limit(client, "at once", f"{AMOUNT}/minute") for client in clients]
    assert await allowed(limits, 12) == dict.fromkeys(SUBJECTS, AMOUNT)
    assert await allowed(limits, 2) == {}


async def test_tries_at_the_same_time_share_their_round_trips(
    clients: list[RedisClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    trips, or_default = [], RedisClient.or_default

    async def counting(client: RedisClient, *arguments: Any, **named: Any) -> Any:
        trips.append(client)
        return await or_default(client, *arguments, **named)

    monkeypatch.setattr(RedisClient, "or_default", counting)
    assert sum((await allowed([Limit(clients[0], "shared", "100/minute")], 10)).values()) == 60
    assert len(trips) == 1


async def test_a_test_sees_the_hits_of_other_replicas_and_counts_none(clients: list[RedisClient]) -> None:
    one, other = (Limit(client, "tested", f"{AMOUNT}/minute") for client in clients)
    for _ in range(AMOUNT):
        for _ in range(2):
            await other.test("a")
        await one.hit("a")
    with pytest.raises(TooManyTries) as refused:
        await other.test("a")
    assert 50 < (refused.value.retry_after or 0) <= 60
    await other.test("b")


async def test_a_test_forgets_the_hits_that_have_left_the_window(clients: list[RedisClient]) -> None:
    one, other = (Limit(client, "short", f"{AMOUNT}/2second") for client in clients)
    for _ in range(AMOUNT):
        await one.hit("a")
    with pytest.raises(TooManyTries):
        await other.test("a")

    async def has_room() -> bool:
        try:
            await other.test("a")
        except TooManyTries:
            return False
        return True

    assert await eventually(has_room)


async def test_a_redis_that_has_lost_its_scripts_goes_on_counting(clients: list[RedisClient]) -> None:
    limits = [Limit(clients[0], "scripts", f"{AMOUNT}/minute")]
    for already in (0, 3):
        await clients[0].raw.script_flush()
        counted = await allowed(limits, 3)
        assert counted == dict.fromkeys(SUBJECTS, min(3, AMOUNT - already))


async def test_without_redis_tries_at_the_same_time_are_counted_in_the_process(
    server: RedisServer, clients: list[RedisClient]
) -> None:
    limits = [Limit(clients[0], "alone", f"{AMOUNT}/minute")]
    server.stop()
    assert await allowed(limits, 12) == dict.fromkeys(SUBJECTS, AMOUNT)

"""Revoked tokens while Redis is away, refuses writes, or comes back."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest
from redis.asyncio import Redis

from chassis.auth.revocation import CURRENT, FILLED, Revocations, key
from chassis.auth.tokens import TokenVerifier, encode_token
from chassis.errors import Unauthenticated
from chassis.redis.client import RedisClient
from testkit import eventually
from testkit.proxy import Proxy
from userfc.config import Settings

from .conftest import new_email, opened
from .test_revocation import GONE, jti


async def test_redis_away_log_out_works_and_redis_learns_of_it_when_it_is_back(
    settings: Settings, proxy: Proxy, redis: Redis
) -> None:
    behind = settings.model_copy(update={"redis_host": proxy.host, "redis_port": proxy.port})
    async with opened(behind, work=True) as userfc:
        await eventually(lambda: not userfc.copy.stale)
        token, other = await userfc.token(), await userfc.token()
        await proxy.refuse()
        assert await userfc.call("POST", "/v1/logout", token) == (200, {"message": "Logged out"})
        assert await userfc.call("GET", "/v1/user-info", token) == GONE
        assert not await userfc.rpc.validate_token(token)
        assert (await userfc.call("GET", "/v1/user-info", other))[0] == 200
        assert not await redis.exists(key(jti(userfc, token)))
        assert (await userfc.call("GET", "/ready"))[0] == 200
        await proxy.restore()
        assert await eventually(lambda: redis.exists(key(jti(userfc, token))))
        assert await userfc.call("GET", "/v1/user-info", token) == GONE
        assert not await redis.exists(key(jti(userfc, other)))


async def test_a_redis_that_takes_no_token_is_not_believed_until_it_has_them_all(
    settings: Settings, redis: Redis
) -> None:
    async with opened(settings, work=True) as userfc:
        await eventually(lambda: not userfc.copy.stale)
        token = await userfc.token()
        client = RedisClient(settings)
        elsewhere = TokenVerifier(settings.jwt_secret, Revocations(client, userfc.rpc))
        await redis.config_set("maxmemory", 1)
        try:
            assert (await userfc.call("POST", "/v1/logout", token))[0] == 200
            for mutating in (False, True):
                with pytest.raises(Unauthenticated):
                    await elsewhere.verify(token, mutating=mutating)
            # The refill fails as well and does not restore the trust.
            userfc.copy.wake.set()
            await eventually(lambda: userfc.copy.stale)
            assert not await redis.exists(FILLED, CURRENT)
        finally:
            await redis.config_set("maxmemory", 0)
        assert await eventually(lambda: redis.exists(FILLED))
        assert await redis.exists(key(jti(userfc, token)))
        await client.close()


@asynccontextmanager
async def evicting(redis: Redis) -> AsyncIterator[None]:
    """Fill Redis and have it drop what was not used for longest, as a cache is often configured."""
    filler = {f"filler:{number}": bytes(4_000) for number in range(2_000)}
    await redis.config_set("maxmemory-policy", "volatile-lru", "maxmemory-samples", 64)
    try:
        # Redis counts the time without use in whole seconds.
        await asyncio.sleep(3)
        pipe = redis.pipeline(transaction=False)
        for name, value in filler.items():
            pipe.set(name, value, ex=600)
        await pipe.execute()
        await redis.config_set("maxmemory", (await redis.info("memory"))["used_memory"] - 2_000_000)
        assert await eventually(lambda: redis.set("filler:last", b"1", ex=600))
        assert (await redis.info("stats"))["evicted_keys"] > 0
        await redis.config_set("maxmemory", 0)
        await redis.delete(*filler)
        yield
    finally:
        await redis.config_set("maxmemory", 0, "maxmemory-policy", "noeviction", "maxmemory-samples", 5)
        await redis.delete(*filler)


async def test_a_token_that_a_full_redis_has_dropped_is_refused_all_the_same(settings: Settings, redis: Redis) -> None:
    async with opened(settings, work=True) as userfc, AsyncExitStack() as stack:
        await eventually(lambda: redis.exists(CURRENT))
        token = await userfc.token()
        assert (await userfc.call("POST", "/v1/logout", token))[0] == 200
        # Each round of the refill writes the tokens of the last half minute again.
        await userfc.execute("UPDATE revoked_tokens SET revoked_at = now() - interval '1 hour' RETURNING 1")
        client = RedisClient(settings)
        stack.push_async_callback(client.close)

        async def refused() -> bool:
            try:
                await TokenVerifier(settings.jwt_secret, Revocations(client, userfc.rpc)).verify(token)
            except Unauthenticated:
                return True
            return False

        async with evicting(redis):
            assert await eventually(refused, deadline_s=3)
            assert await eventually(lambda: redis.exists(key(jti(userfc, token))))
            assert await eventually(lambda: redis.exists(CURRENT))
            assert await refused()


async def set_refusal(redis: Redis, reason: str, *, refuse: bool) -> None:
    """Have Redis answer reads and refuse writes, or take them again."""
    if reason == "replica":
        await redis.replicaof(*(("127.0.0.1", "1") if refuse else ("NO", "ONE")))
    else:
        await redis.config_set({"full": "maxmemory", "alone": "min-replicas-to-write"}[reason], int(refuse))


@pytest.mark.parametrize("reason", ["replica", "full", "alone"])
async def test_a_token_is_refused_within_five_seconds_by_all_while_redis_refuses_writes_and_ever_after(
    settings: Settings, redis: Redis, reason: str
) -> None:
    async with opened(settings, work=True) as userfc, AsyncExitStack() as stack:
        await eventually(lambda: redis.exists(CURRENT))
        client = RedisClient(settings)
        stack.push_async_callback(client.close)
        token, other = await userfc.token(), await userfc.token()

        async def refused(revocations: Revocations | None = None) -> bool:
            try:
                await TokenVerifier(settings.jwt_secret, revocations or Revocations(client, userfc.rpc)).verify(
                    token, mutating=False
                )
            except Unauthenticated:
                return True
            return False

        known = Revocations(client, userfc.rpc)
        assert not await refused(known)
        await set_refusal(redis, reason, refuse=True)
        try:
            assert (await userfc.call("POST", "/v1/logout", token))[0] == 200
            started = time.monotonic()
            assert await eventually(partial(refused, known), deadline_s=5)
            assert await eventually(refused, deadline_s=5 - (time.monotonic() - started))
            assert (await userfc.call("GET", "/ready"))[1]["checks"]["redis"].startswith("degraded")
        finally:
            await set_refusal(redis, reason, refuse=False)
        # A process that has never seen the token refuses it too, before Redis has been filled and after.
        while not await redis.exists(CURRENT):
            assert await refused()
        assert await refused()
        assert await TokenVerifier(settings.jwt_secret, Revocations(client)).verify(other)


async def test_a_token_that_was_logged_out_during_an_outage_is_refused_as_soon_as_redis_is_back(
    settings: Settings, proxy: Proxy, redis: Redis
) -> None:
    behind = settings.model_copy(update={"redis_host": proxy.host, "redis_port": proxy.port})
    async with opened(behind, work=True) as userfc:
        await eventually(lambda: redis.exists(CURRENT))
        token = await userfc.token()
        await proxy.blackhole()
        assert (await userfc.call("POST", "/v1/logout", token))[0] == 200
        await eventually(not_there(redis), deadline_s=10)
        await proxy.refuse()
        await proxy.restore()
        for _ in range(50):
            client = RedisClient(behind)
            with pytest.raises(Unauthenticated):
                await TokenVerifier(settings.jwt_secret, Revocations(client, userfc.rpc)).verify(token)
            await client.close()
        assert await eventually(lambda: redis.exists(key(jti(userfc, token))))


def not_there(redis: Redis) -> Callable[[], Awaitable[bool]]:
    """Return a function that tells whether the mark of a current copy has ended."""

    async def ended() -> bool:
        return not await redis.exists(CURRENT)

    return ended


async def test_redis_and_database_away_reads_go_on_and_changes_wait(settings: Settings) -> None:
    away = settings.model_copy(update={"redis_port": 1, "db_port": 1})
    async with opened(away) as userfc:
        token = encode_token(settings.jwt_secret, user_id=1, email=new_email(), role="user")
        answer = await userfc.http.post("/v1/logout", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
        verifier = userfc.process.app.state.verifier
        assert await verifier.verify(token, mutating=False)

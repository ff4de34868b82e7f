"""The copy of the revoked tokens in Redis, which every service reads; and how to see that Redis has forgotten it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog
from redis.asyncio import Redis

from chassis.auth.revocation import FILLED, key
from chassis.redis import FAILURES, RedisClient

log = structlog.get_logger(__name__)


class RevokedCopy:
    """Writes `revoked:{jti}`. `stale` says that something could not be written; `wake` is set at that moment."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self.stale = True
        self.wake = asyncio.Event()

    async def add(self, jti: str, life_s: int) -> None:
        """Tell Redis of one token. When it doesn't listen, the refill does it later and this says so in the log."""
        try:
            # Past the breaker: a Redis that has just come back already answers the other services.
            await self._redis.raw.set(key(jti), b"1", ex=life_s)
        except FAILURES as error:
            log.warning("redis did not take a revoked token", error=f"{type(error).__name__}: {error}")
            await self.distrust()
            self.wake.set()

    async def distrust(self) -> None:
        """Say that Redis lacks a token, in Redis too: one that is full takes no token, but services still ask it."""
        self.stale = True
        with suppress(*FAILURES):
            # Past the breaker, because it is closed by what has failed just now.
            await self._redis.raw.delete(FILLED)

    async def state(self) -> tuple[str, bool] | None:
        """Give the Redis process' run id and whether it is the one that was filled; None while Redis is down."""

        async def ask(client: Redis) -> tuple[str, bool]:
            run_id = str((await client.info("server"))["run_id"])
            filled = await client.get(FILLED)
            return run_id, filled == run_id.encode()

        return await self._redis.or_default(ask, None)

    async def fill(self, tokens: Sequence[tuple[str, int]]) -> bool:
        """Write (jti, seconds to remember) pairs in one round trip; False when Redis fails."""

        async def write(client: Redis) -> bool:
            pipe = client.pipeline(transaction=False)
            for jti, life_s in tokens:
                pipe.set(key(jti), b"1", ex=life_s)
            await pipe.execute()
            return True

        return not tokens or await self._redis.or_default(write, False)

    async def mark_filled(self, run_id: str) -> bool:
        """Remember in Redis itself that this Redis process has all of it; False when Redis fails."""

        async def write(client: Redis) -> bool:
            # Names the Redis process that was filled: gone after FLUSHALL, another one after a restart or fail-over.
            await client.set(FILLED, run_id)
            return True

        return await self._redis.or_default(write, False)

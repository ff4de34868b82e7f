"""The copy of the revoked tokens in Redis, which every service reads, and the mark of a complete copy."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog
from redis.asyncio import Redis

from chassis.auth.revocation import FILLED, key
from chassis.redis import FAILURES, RedisClient

log = structlog.get_logger(__name__)


class RevokedCopy:
    """Writes `revoked:{jti}`. `stale` is true after a failed write, `wake` is set when a token could not be added."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self.stale = True
        self.wake = asyncio.Event()

    async def add(self, jti: str, life_s: int) -> None:
        """Add one token. When Redis fails, the refill adds it later."""
        try:
            # Without the breaker: a Redis that has just come back already answers the other services.
            await self._redis.raw.set(key(jti), b"1", ex=life_s)
        except FAILURES as error:
            log.warning("revoked token not written to redis", error=f"{type(error).__name__}: {error}")
            await self.distrust()
            self.wake.set()

    async def distrust(self) -> None:
        """Mark the copy as incomplete, in Redis too: a Redis that is out of memory still answers the other services."""
        self.stale = True
        with suppress(*FAILURES):
            # Without the breaker, which the failed write has just opened.
            await self._redis.raw.delete(FILLED)

    async def state(self) -> tuple[str, bool] | None:
        """Return the run id of the Redis process and whether this process was filled; None while Redis is down."""

        async def read(client: Redis) -> tuple[str, bool]:
            run_id = str((await client.info("server"))["run_id"])
            filled_run_id = await client.get(FILLED)
            return run_id, filled_run_id == run_id.encode()

        return await self._redis.or_default(read, None)

    async def fill(self, tokens: Sequence[tuple[str, int]]) -> bool:
        """Write pairs (jti, seconds to keep) in one round trip. False when Redis fails."""

        async def write(client: Redis) -> bool:
            pipe = client.pipeline(transaction=False)
            for jti, life_s in tokens:
                pipe.set(key(jti), b"1", ex=life_s)
            await pipe.execute()
            return True

        return not tokens or await self._redis.or_default(write, False)

    async def mark_filled(self, run_id: str) -> bool:
        """Record in Redis that this Redis process holds all tokens. False when Redis fails."""

        async def write(client: Redis) -> bool:
            # The value is a run id: it is missing after FLUSHALL and differs after a restart or a fail-over.
            await client.set(FILLED, run_id)
            return True

        return await self._redis.or_default(write, False)

"""The copy of the revoked tokens in Redis, which every service reads, and the marks of a complete and current copy."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from typing import cast

import structlog
from redis.asyncio import Redis

from chassis.auth.revocation import CURRENT, CURRENT_S, FILLED, key
from chassis.redis.client import FAILURES, RedisClient

log = structlog.get_logger(__name__)

# Sets both marks unless the data is other than that of ARGV[1] by now: the id that `_id_of` makes.
_MARK = """
local server, stats = redis.call('INFO', 'server'), redis.call('INFO', 'stats')
local id = string.match(server, 'run_id:(%w+)') .. ' ' .. (string.match(stats, 'evicted_keys:(%d+)') or '0')
if id ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], id)
redis.call('SET', KEYS[2], '1', 'EX', ARGV[2])
return 1
"""


class RevokedCopy:
    """Writes `revoked:{jti}`. `stale` is true after a failed write, `wake` is set when a token could not be added."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self.stale = True
        self.wake = asyncio.Event()

    async def add(self, jti: str, life_s: int) -> None:
        """Add one token. When Redis fails, the next round adds it."""
        try:
            # Without the breaker: a Redis that has just come back already answers the other services.
            await self._redis.call(lambda redis: redis.set(key(jti), b"1", ex=life_s), writes=True)
        except FAILURES as error:
            log.warning("revoked token not written to redis", error=f"{type(error).__name__}: {error}")
            await self.distrust()
            self.wake.set()

    async def distrust(self) -> None:
        """Mark the copy as incomplete, in Redis too: a Redis that is out of memory still answers the other services."""
        self.stale = True
        with suppress(*FAILURES):
            # Without the breaker, which the failed write has just opened.
            await self._redis.call(lambda redis: redis.delete(FILLED, CURRENT))

    async def state(self) -> tuple[str, bool] | None:
        """Return the id of the data in Redis, and whether the copy in it is complete; None while Redis is down.

        A copy is complete when the data with this id was filled, and has been renewed without a gap since then. The
        marks of other data are removed: services do not compare the id.
        """

        async def read(client: Redis) -> tuple[str, bool]:
            pipe = client.pipeline(transaction=False)
            pipe.info("server")
            pipe.info("stats")
            pipe.mget(FILLED, CURRENT)
            server, stats, (filled, current) = await pipe.execute()
            data_id = _id_of(server, stats)
            is_of_other_data = filled is not None and filled != data_id.encode()
            if is_of_other_data:
                log.warning("redis may have lost revoked tokens", data=data_id)
                await client.delete(FILLED, CURRENT)
            return data_id, not is_of_other_data and None not in (filled, current)

        return await self._redis.or_default(read, None)

    async def fill(self, tokens: Sequence[tuple[str, int]]) -> bool:
        """Write pairs (jti, seconds to keep) in one round trip. Returns False if Redis fails."""

        async def write(client: Redis) -> bool:
            pipe = client.pipeline(transaction=False)
            for jti, life_s in tokens:
                pipe.set(key(jti), b"1", ex=life_s)
            await pipe.execute()
            return True

        return not tokens or await self._redis.or_default(write, False, writes=True)

    async def mark_current(self, data_id: str) -> bool:
        """Record in Redis that it holds all tokens, for CURRENT_S seconds.

        False when Redis fails, and when it no longer has the data of this id: it may have lost tokens meanwhile.
        """

        async def write(client: Redis) -> bool:
            done = client.eval(_MARK, 2, FILLED, CURRENT, data_id, CURRENT_S)
            return await cast("Awaitable[int]", done) == 1

        return await self._redis.or_default(write, False, writes=True)


def _id_of(server: Mapping[str, object], stats: Mapping[str, object]) -> str:
    """Return what changes when Redis may have lost keys: by a restart, a fail-over, or an eviction for want of memory.

    Where `maxmemory-policy` is not `noeviction`, a full Redis drops revoked tokens and goes on taking writes.
    """
    return f"{server['run_id']} {stats.get('evicted_keys', 0)}"

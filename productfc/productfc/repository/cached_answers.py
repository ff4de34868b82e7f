"""The Redis commands of the product cache: answers, and versions that decide whether an answer may be stored."""

import secrets
from collections.abc import Awaitable, Callable, Collection
from typing import cast

import structlog
from redis.asyncio import Redis

from chassis.redis import FAILURES, RedisClient

log = structlog.get_logger(__name__)

TTL_S = 300
# Longer than any reader can take between reading a version and filling with it.
VERSION_TTL_S = 3600

# Returns the version and creates a missing one, so that a restarted Redis is not mistaken for an unchanged product.
_VERSION = """
local version = redis.call('GET', KEYS[1])
if not version then
  version = ARGV[1]
  redis.call('SET', KEYS[1], version, 'EX', ARGV[2])
end
return version
"""
_FILL = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
return 1
"""
_DOWN = object()


def value_key(product_id: int) -> str:
    return f"product:{product_id}"


def version_key(product_id: int) -> str:
    """Return the key of the version, which every change replaces. Versions are random, so that none is used twice."""
    return f"product:{product_id}:version"


class CachedAnswers:
    """Reads, fills and invalidates the answers in Redis."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    async def read(self, product_id: int) -> tuple[bytes | None, bytes | None]:
        """Return (answer, None) for a cached product, (None, version) for another one, (None, None) without Redis."""
        answer = await self._redis.or_default(lambda redis: redis.get(value_key(product_id)), _DOWN)
        if isinstance(answer, bytes):
            return answer, None
        if answer is _DOWN:
            return None, None
        work = _script(_VERSION, [version_key(product_id)], [secrets.token_hex(8), VERSION_TTL_S])
        version = await self._redis.or_default(work, None)
        return None, version if isinstance(version, bytes) else None

    async def fill(self, product_id: int, version: bytes, answer: bytes) -> bool:
        """Store an answer unless the version has been replaced. False when Redis fails."""
        work = _script(_FILL, [version_key(product_id), value_key(product_id)], [version, answer, TTL_S])
        return await self._redis.or_default(work, None) is not None

    async def invalidate(self, product_ids: Collection[int]) -> bool:
        """Replace the versions of the products and delete their answers. False when Redis fails."""
        try:
            # Without the breaker: other replicas may reach a Redis that failed here a moment ago, and would serve the
            # stale answers.
            async with self._redis.raw.pipeline(transaction=False) as pipe:
                for product_id in product_ids:
                    pipe.set(version_key(product_id), secrets.token_hex(8), ex=VERSION_TTL_S)
                pipe.delete(*(value_key(product_id) for product_id in product_ids))
                await pipe.execute()
        except FAILURES as error:
            log.warning("cache invalidation failed", error=f"{type(error).__name__}: {error}")
            return False
        return True

    async def run_id(self) -> str | None:
        """Return the id of the Redis process, which a restart changes. None when Redis fails."""
        return await self._redis.or_default(_run_id, None)


def _script(source: str, keys: list[str], arguments: list[str | bytes | int]) -> Callable[[Redis], Awaitable[object]]:
    def work(redis: Redis) -> Awaitable[object]:
        return cast(Awaitable[object], redis.eval(source, len(keys), *keys, *arguments))

    return work


async def _run_id(redis: Redis) -> str:
    information = await redis.info("server")
    return str(information["run_id"])

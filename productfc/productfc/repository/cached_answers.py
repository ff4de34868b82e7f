"""The Redis commands of the product cache: answers, versions that decide whether one may be stored, and a mark."""

import secrets
from collections.abc import Awaitable, Callable, Collection
from typing import cast

import structlog
from redis.asyncio import Redis

from chassis.redis.client import FAILURES, RedisClient

log = structlog.get_logger(__name__)

TTL_S = 300
# Longer than a reader may take between reading a version and filling with it; a later one fills nothing.
VERSION_TTL_S = 60
# Products in one round trip.
BATCH = 500
# Exists while a replica renews it, which takes a write: then changes reach Redis too, and its answers can be believed.
CURRENT, CURRENT_S = "products:current", 3

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
# Deletes the version of a product that does not exist, unless a change has replaced it.
_FORGET = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""
# Renews the mark of a Redis that has not restarted since, unless it has ended: then nobody could write for a time. One
# round trip a second in place of three.
_RENEW = """
if not string.find(redis.call('INFO', 'server'), 'run_id:' .. ARGV[1], 1, true) then return 0 end
return redis.call('SET', KEYS[1], '1', 'EX', ARGV[2], 'XX') and 1 or 0
"""


def value_key(product_id: int) -> str:
    return f"product:{product_id}"


def version_key(product_id: int) -> str:
    """Return the key of the version, which every change replaces. Versions are random, so that none is used twice."""
    return f"product:{product_id}:version"


class CachedAnswers:
    """Reads, fills and invalidates the answers in Redis.

    Each is stored behind `shape`, which changes with the fields of an answer. What does not begin with it is ignored:
    another version of the service may have stored it.
    """

    def __init__(self, redis: RedisClient, shape: bytes) -> None:
        self._redis = redis
        self._shape = shape

    async def peek(self, product_id: int) -> bytes | None:
        """Return the answer of a cached product. Returns None if it is not cached, or if Redis may be outdated."""
        stored, current = await self._redis.mget(value_key(product_id), CURRENT) or (None, None)
        return self._answer(stored) if current is not None else None

    async def read(self, product_id: int) -> tuple[bytes | None, bytes | None]:
        """Return (answer, None) for a cached product, (None, version) for another one.

        Returns (None, None) without Redis, and while its answers can't be believed.
        """
        stored, current = await self._redis.mget(value_key(product_id), CURRENT) or (None, None)
        if current is None:
            return None, None
        if (answer := self._answer(stored)) is not None:
            return answer, None
        work = _script(_VERSION, [version_key(product_id)], [secrets.token_hex(8), VERSION_TTL_S])
        version = await self._redis.or_default(work, None, writes=True)
        return None, version if isinstance(version, bytes) else None

    def _answer(self, stored: bytes | None) -> bytes | None:
        return stored[len(self._shape) :] if stored is not None and stored.startswith(self._shape) else None

    async def fill(self, product_id: int, version: bytes, answer: bytes) -> bool:
        """Store an answer unless the version has been replaced. Returns False if Redis fails."""
        work = _script(_FILL, [version_key(product_id), value_key(product_id)], [version, self._shape + answer, TTL_S])
        return await self._redis.or_default(work, None, writes=True) is not None

    async def forget(self, product_id: int, version: bytes) -> None:
        """Delete the version of a product that does not exist, so that requests for unknown ids leave nothing."""
        await self._redis.or_default(_script(_FORGET, [version_key(product_id)], [version]), None, writes=True)

    async def invalidate(self, product_ids: Collection[int], *, unless_down: bool = False) -> bool:
        """Replace the versions of the products and delete their answers. Returns False if Redis fails.

        With `unless_down`, a Redis that did not answer lately is not asked. Without it the breaker is ignored: other
        replicas may reach a Redis that failed here a moment ago, and would serve the stale answers.
        """
        if unless_down and self._redis.down:
            return False
        ids = list(product_ids)
        try:
            for start in range(0, len(ids), BATCH):
                await self._redis.call(_replace(ids[start : start + BATCH]), writes=True)
        except FAILURES as error:
            log.warning("cache invalidation failed", error=f"{type(error).__name__}: {error}")
            return False
        return True

    async def renew(self, run_id: str) -> bool:
        """Let all replicas go on to believe what Redis holds for CURRENT_S seconds.

        False when Redis fails, when it is not the process with this id, and when the mark had ended: for a time nobody
        could write.
        """
        work = _script(_RENEW, [CURRENT], [run_id, CURRENT_S])
        # Not `writes`: it may have written nothing.
        return await self._redis.or_default(work, None) == 1

    async def mark(self) -> bool:
        """Let all replicas trust the cache for CURRENT_S seconds. Returns False if Redis fails."""

        async def mark(redis: Redis) -> bool:
            return bool(await redis.set(CURRENT, b"1", ex=CURRENT_S))

        return await self._redis.or_default(mark, False, writes=True)

    async def run_id(self) -> str | None:
        """Return the id of the Redis process, which a restart changes, or None if Redis fails or refuses writes."""
        return await self._redis.or_default(_run_id, None) if await self._redis.takes_writes() else None


def _script(source: str, keys: list[str], arguments: list[str | bytes | int]) -> Callable[[Redis], Awaitable[object]]:
    def work(redis: Redis) -> Awaitable[object]:
        return cast(Awaitable[object], redis.eval(source, len(keys), *keys, *arguments))

    return work


def _replace(product_ids: list[int]) -> Callable[[Redis], Awaitable[None]]:
    async def work(redis: Redis) -> None:
        async with redis.pipeline(transaction=False) as pipe:
            for product_id in product_ids:
                pipe.set(version_key(product_id), secrets.token_hex(8), ex=VERSION_TTL_S)
            pipe.delete(*(value_key(product_id) for product_id in product_ids))
            await pipe.execute()

    return work


async def _run_id(redis: Redis) -> str:
    information = await redis.info("server")
    return str(information["run_id"])

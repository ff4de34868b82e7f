"""Products in Redis, as the bytes of their answers: filled only while nobody has changed them, and never needed."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import cast

import structlog
from prometheus_client import Counter
from redis.asyncio import Redis

from chassis.failpoint import failpoint
from chassis.redis import FAILURES, RedisClient
from productfc.repository.shared import Load, SharedLoad

log = structlog.get_logger(__name__)

READS = Counter("product_cache_reads_total", "Reads of single products by where they were answered", ["from"])
SWEEPS = Counter("product_cache_sweeps_total", "Invalidations of everything that has changed lately")

TTL_S = 300
# Longer than any reader can take between reading a version and filling with it.
VERSION_TTL_S = 3600
# On top of the TTL: a row carries the time at which its transaction began.
SWEEP_MARGIN_S = 60
SWEEP_BATCH = 500

# Gives the version, making one when there is none, so that a restarted Redis can't be mistaken for an unchanged one.
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

Changed = Callable[[int], Awaitable[Collection[int]]]


def value_key(product_id: int) -> str:
    """Give the key under which the answer is kept."""
    return f"product:{product_id}"


def version_key(product_id: int) -> str:
    """Give the key of the token that every change replaces; tokens are random, so that none ever comes back."""
    return f"product:{product_id}:version"


class ProductCache:
    """Reads through Redis and forgets what changes.

    `load` gives a product's answer from the database (None: there is none); `changed_since` gives the ids of the
    products that changed in the last so many seconds. While Redis may hold something stale, because an invalidation
    failed or Redis itself was away, reads go to the database and `sweep` forgets everything that changed lately.
    """

    def __init__(self, redis: RedisClient, load: Load, changed_since: Changed) -> None:
        self._redis = redis
        self._load = load
        self._changed_since = changed_since
        self._flights: dict[tuple[int, bytes], asyncio.Task[bytes | None]] = {}
        self._load_shared = SharedLoad(load)
        # Doubts are counted and settled up to a count, so that one which comes up during a sweep outlives it.
        self._doubts = 1
        self._settled = 0
        self._run_id: str | None = None
        self.wake = asyncio.Event()

    @property
    def trusted(self) -> bool:
        """Tell whether everything that this process knows to have changed is forgotten in Redis."""
        return self._doubts == self._settled

    async def get(self, product_id: int) -> bytes | None:
        """Give a product's answer. Raises what the database raises, never what Redis does."""
        if not self.trusted:
            return await self._uncached(product_id)
        found = await self._redis.or_default(lambda redis: redis.get(value_key(product_id)), _DOWN)
        if isinstance(found, bytes):
            READS.labels("cache").inc()
            return found
        version = None if found is _DOWN else await self._version(product_id)
        if version is None:
            self._doubt()
            return await self._uncached(product_id)
        return await self._shared(product_id, version)

    async def _uncached(self, product_id: int) -> bytes | None:
        READS.labels("database").inc()
        return await self._load_shared(product_id)

    async def _version(self, product_id: int) -> bytes | None:
        token = secrets.token_hex(8)
        work = _script(_VERSION, [version_key(product_id)], [token, VERSION_TTL_S])
        answer = await self._redis.or_default(work, None)
        return answer if isinstance(answer, bytes) else None

    async def _shared(self, product_id: int, version: bytes) -> bytes | None:
        """Let readers that miss the same version share one query; a reader after a change has another version."""
        flight = self._flights.get((product_id, version))
        if flight is None:
            READS.labels("filled").inc()
            flight = asyncio.create_task(self._fill(product_id, version))
            self._flights[product_id, version] = flight
            flight.add_done_callback(lambda task: self._landed(product_id, version, task))
        else:
            READS.labels("shared").inc()
        return await asyncio.shield(flight)

    def _landed(self, product_id: int, version: bytes, flight: asyncio.Task[bytes | None]) -> None:
        del self._flights[product_id, version]
        if not flight.cancelled():
            flight.exception()

    async def _fill(self, product_id: int, version: bytes) -> bytes | None:
        answer = await self._load(product_id)
        await failpoint("productfc.before_fill")
        if answer is not None:
            work = _script(_FILL, [version_key(product_id), value_key(product_id)], [version, answer, TTL_S])
            if await self._redis.or_default(work, None) is None:
                self._doubt()
        return answer

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[set[int]]:
        """Surround a transaction that changes products: the ids put into the set are forgotten after it.

        A transaction that raises may have committed all the same (the connection was lost while it did).
        """
        changed: set[int] = set()
        try:
            yield changed
        except BaseException:
            if changed:
                self._doubt()
            raise
        await self.forget(changed)

    async def forget(self, product_ids: Collection[int]) -> None:
        """Make the next reader of each product ask the database. What Redis does not take now, the sweep repeats."""
        if not product_ids:
            return
        done = False
        try:
            done = await self._invalidate(product_ids)
        finally:
            if not done:
                self._doubt()

    async def _invalidate(self, product_ids: Collection[int]) -> bool:
        async def work(redis: Redis) -> bool:
            async with redis.pipeline(transaction=False) as pipe:
                for product_id in product_ids:
                    pipe.set(version_key(product_id), secrets.token_hex(8), ex=VERSION_TTL_S)
                pipe.delete(*(value_key(product_id) for product_id in product_ids))
                await pipe.execute()
            return True

        try:
            # Past the breaker: other replicas may reach a Redis that failed us a moment ago, and would serve it.
            return await work(self._redis.raw)
        except FAILURES as error:
            log.warning("redis did not take an invalidation", error=f"{type(error).__name__}: {error}")
            return False

    def _doubt(self) -> None:
        if self.trusted:
            self.wake.set()
        self._doubts += 1

    async def sweep(self) -> bool:
        """Forget what changed within the life of a cached answer, when in doubt or when Redis has been restarted.

        True means that a new doubt came up meanwhile. Raises what the database raises.
        """
        run_id = await self._redis.or_default(_run_id, None)
        if run_id is None or run_id != self._run_id:
            self._doubts += 1
        if run_id is None or self.trusted:
            return False
        seen = self._doubts
        product_ids = list(await self._changed_since(TTL_S + SWEEP_MARGIN_S))
        for start in range(0, len(product_ids), SWEEP_BATCH):
            if not await self._invalidate(product_ids[start : start + SWEEP_BATCH]):
                return False
        SWEEPS.inc()
        self._run_id = run_id
        self._settled = seen
        log.info("forgot the products that changed lately", products=len(product_ids))
        return not self.trusted


def _script(source: str, keys: list[str], arguments: list[str | bytes | int]) -> Callable[[Redis], Awaitable[object]]:
    def work(redis: Redis) -> Awaitable[object]:
        return cast(Awaitable[object], redis.eval(source, len(keys), *keys, *arguments))

    return work


async def _run_id(redis: Redis) -> str:
    information = await redis.info("server")
    return str(information["run_id"])

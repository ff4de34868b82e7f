"""Products in Redis, as the bytes of their answers. Changes invalidate them; without Redis the database answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial

import structlog
from prometheus_client import Counter

from chassis.failpoint import failpoint
from chassis.redis.client import RedisClient
from productfc.repository.cached_answers import TTL_S, CachedAnswers
from productfc.repository.single_flight import Load, SharedTasks, SingleFlight

log = structlog.get_logger(__name__)

READS = Counter("gocommerce_product_cache_reads_total", "Reads of single products by source of the answer", ["from"])
_FROM_CACHE = READS.labels("cache")
SWEEPS = Counter("gocommerce_product_cache_sweeps_total", "Invalidations of all recently changed products")

# On top of the TTL: a row carries the time at which its transaction began.
SWEEP_MARGIN_S = 60
# What another replica changed and did not invalidate, because it was killed in between, is invalidated here.
REPEAT_INTERVAL_S = 60
REPEAT_S = 2 * REPEAT_INTERVAL_S

ChangedSince = Callable[[int], Awaitable[Collection[int]]]


class ProductCache:
    """A read-through cache of products.

    `load` reads a product's answer from the database, None when there is none. `changed_since` lists the products that
    changed in the last n seconds. After a failed invalidation or a restart of Redis, it may hold stale answers: reads
    go to the database until `sweep` has invalidated all recent changes, in every replica while none can write.
    """

    def __init__(self, redis: RedisClient, load: Load, changed_since: ChangedSince, shape: bytes) -> None:
        self._answers = CachedAnswers(redis, shape)
        self._load = load
        self._changed_since = changed_since
        self._fills = SharedTasks()
        self._load_uncached = SingleFlight(load)
        # Each reason for distrust starts a new epoch. A sweep restores trust up to the epoch in which it began, so that
        # an invalidation that fails during the sweep is not forgotten.
        self._epoch = 1
        self._swept_epoch = 0
        self._run_id: str | None = None
        self.wake = asyncio.Event()

    @property
    def trusted(self) -> bool:
        """Whether Redis holds no answer that this process has reason to call stale."""
        return self._epoch == self._swept_epoch

    async def peek(self, product_id: int) -> bytes | None:
        """Return a product's answer if Redis holds it. Raises nothing."""
        if not self.trusted:
            return None
        answer = await self._answers.peek(product_id)
        if answer is not None:
            _FROM_CACHE.inc()
        return answer

    async def get(self, product_id: int) -> bytes | None:
        """Return a product's answer. Raises what the database raises, but nothing of what Redis raises."""
        answer, version = await self._answers.read(product_id) if self.trusted else (None, None)
        if answer is not None:
            _FROM_CACHE.inc()
            return answer
        if version is None:
            READS.labels("database").inc()
            return await self._load_uncached(product_id)
        # A reader that comes after a change has another version, and so another query.
        key = (product_id, version)
        READS.labels("shared" if key in self._fills else "filled").inc()
        return await self._fills.run(key, partial(self._fill, product_id, version))

    async def _fill(self, product_id: int, version: bytes) -> bytes | None:
        answer = await self._load(product_id)
        await failpoint("productfc.before_fill")
        if answer is None:
            await self._answers.forget(product_id, version)
        elif not await self._answers.fill(product_id, version, answer):
            self._distrust()
        return answer

    @asynccontextmanager
    async def invalidation(self, *, unless_down: bool = False) -> AsyncIterator[set[int]]:
        """Surround a transaction that changes products; the ids put into the set are invalidated after it.

        One that raises may have committed, when its connection was lost. `unless_down`: leave Redis to the sweep then.
        """
        changed: set[int] = set()
        try:
            yield changed
        except BaseException:
            if changed:
                self._distrust()
            raise
        await self.invalidate(changed, unless_down=unless_down)

    async def invalidate(self, product_ids: Collection[int], *, unless_down: bool = False) -> None:
        """Make the next reader of each product ask the database. When Redis fails, the sweep repeats it."""
        if not product_ids:
            return
        done = False
        try:
            done = await self._answers.invalidate(product_ids, unless_down=unless_down)
        finally:
            if not done:
                self._distrust()

    def _distrust(self) -> None:
        if self.trusted:
            self.wake.set()
        self._epoch += 1

    async def sweep(self) -> bool:
        """Renew the mark that lets all replicas believe Redis. Without trust, first invalidate all recent changes."""
        if self.trusted:
            if self._run_id is not None and await self._answers.renew(self._run_id):
                return False
            self._epoch += 1
        run_id = await self._answers.run_id()
        if run_id is None:
            return False
        if run_id != self._run_id:
            self._epoch += 1
        epoch = self._epoch
        if not await self._answers.invalidate(await self._changed_since(TTL_S + SWEEP_MARGIN_S)):
            return False
        SWEEPS.inc()
        self._run_id = run_id
        self._swept_epoch = epoch
        if self.trusted:
            await self._answers.mark()
        return not self.trusted

    async def repeat(self) -> None:
        """Invalidate the changes of the last two minutes. Raises what the database raises."""
        if not await self._answers.invalidate(await self._changed_since(REPEAT_S)):
            self._distrust()

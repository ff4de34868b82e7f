"""Products in Redis, as the bytes of their answers. Changes invalidate them; without Redis the database answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager

import structlog
from prometheus_client import Counter

from chassis.failpoint import failpoint
from chassis.redis import RedisClient
from productfc.repository.cached_answers import TTL_S, CachedAnswers
from productfc.repository.single_flight import Load, SingleFlight, retrieve_exception

log = structlog.get_logger(__name__)

READS = Counter("product_cache_reads_total", "Reads of single products by source of the answer", ["from"])
SWEEPS = Counter("product_cache_sweeps_total", "Invalidations of all recently changed products")

# On top of the TTL: a row carries the time at which its transaction began.
SWEEP_MARGIN_S = 60
SWEEP_BATCH = 500

ChangedSince = Callable[[int], Awaitable[Collection[int]]]


class ProductCache:
    """A read-through cache of products.

    `load` reads a product's answer from the database; None means that there is no such product. `changed_since` lists
    the ids of the products that changed in the last n seconds. After a failed invalidation or a restart of Redis, Redis
    may hold stale answers: reads then go to the database until `sweep` has invalidated all recent changes.
    """

    def __init__(self, redis: RedisClient, load: Load, changed_since: ChangedSince) -> None:
        self._answers = CachedAnswers(redis)
        self._load = load
        self._changed_since = changed_since
        self._fills: dict[tuple[int, bytes], asyncio.Task[bytes | None]] = {}
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

    async def get(self, product_id: int) -> bytes | None:
        """Return a product's answer. Raises what the database raises, but nothing of what Redis raises."""
        answer, version = await self._answers.read(product_id) if self.trusted else (None, None)
        if answer is not None:
            READS.labels("cache").inc()
            return answer
        if version is None:
            READS.labels("database").inc()
            return await self._load_uncached(product_id)
        return await self._fill_once(product_id, version)

    async def _fill_once(self, product_id: int, version: bytes) -> bytes | None:
        """Share one query among the readers of a version. A reader that comes after a change has another version."""
        fill = self._fills.get((product_id, version))
        if fill is None:
            READS.labels("filled").inc()
            fill = asyncio.create_task(self._fill(product_id, version))
            self._fills[product_id, version] = fill
            fill.add_done_callback(lambda task: self._remove_fill(product_id, version, task))
        else:
            READS.labels("shared").inc()
        return await asyncio.shield(fill)

    def _remove_fill(self, product_id: int, version: bytes, fill: asyncio.Task[bytes | None]) -> None:
        del self._fills[product_id, version]
        retrieve_exception(fill)

    async def _fill(self, product_id: int, version: bytes) -> bytes | None:
        answer = await self._load(product_id)
        await failpoint("productfc.before_fill")
        if answer is not None and not await self._answers.fill(product_id, version, answer):
            self._distrust()
        return answer

    @asynccontextmanager
    async def invalidation(self) -> AsyncIterator[set[int]]:
        """Surround a transaction that changes products; the ids put into the set are invalidated after it.

        A transaction that raises may have committed nevertheless, when the connection was lost during the commit.
        """
        changed: set[int] = set()
        try:
            yield changed
        except BaseException:
            if changed:
                self._distrust()
            raise
        await self.invalidate(changed)

    async def invalidate(self, product_ids: Collection[int]) -> None:
        """Make the next reader of each product ask the database. When Redis fails, the sweep repeats it."""
        if not product_ids:
            return
        done = False
        try:
            done = await self._answers.invalidate(product_ids)
        finally:
            if not done:
                self._distrust()

    def _distrust(self) -> None:
        if self.trusted:
            self.wake.set()
        self._epoch += 1

    async def sweep(self) -> bool:
        """Invalidate all products that changed within the life of a cached answer, when Redis is not trusted.

        Returns True when a new reason for distrust came up meanwhile. Raises what the database raises.
        """
        run_id = await self._answers.run_id()
        if run_id is None or run_id != self._run_id:
            self._epoch += 1
        if run_id is None or self.trusted:
            return False
        epoch = self._epoch
        product_ids = list(await self._changed_since(TTL_S + SWEEP_MARGIN_S))
        for start in range(0, len(product_ids), SWEEP_BATCH):
            if not await self._answers.invalidate(product_ids[start : start + SWEEP_BATCH]):
                return False
        SWEEPS.inc()
        self._run_id = run_id
        self._swept_epoch = epoch
        log.info("recently changed products invalidated", products=len(product_ids))
        return not self.trusted

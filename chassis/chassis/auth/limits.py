"""Rate limits, counted in Redis for all replicas together and in each process as a second line."""

import hashlib
import math
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import structlog
from limits import RateLimitItem, parse, parse_many
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from prometheus_client import Counter
from pydantic import AfterValidator
from redis.asyncio import Redis

from chassis.errors import RateLimited
from chassis.redis.client import RedisClient

log = structlog.get_logger(__name__)

SKIPPED = Counter(
    "rate_limit_skipped_total", "Requests that only this process has counted, because Redis did not", ["limit"]
)

# Subjects of one limit that a process remembers. The one that has been quiet for longest is forgotten first.
SUBJECTS = 10_000
MAX_AMOUNT = 1_000_000_000
MAX_SPAN_S = 31 * 86_400


def _rate(value: str) -> str:
    try:
        [item] = parse_many(value)
        fits = 1 <= item.amount <= MAX_AMOUNT and item.get_expiry() <= MAX_SPAN_S
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"should be one rate such as 60/minute, of 1 to {MAX_AMOUNT:,} in at most 31 days")
    return value


Rate = Annotated[str, AfterValidator(_rate)]


class TooManyTries(RateLimited):
    """A rate limit is used up. `reset_s` is the number of seconds until the next try is allowed."""

    def __init__(self, *, limit: int, reset_s: int) -> None:
        headers = {"RateLimit-Limit": str(limit), "RateLimit-Remaining": "0", "RateLimit-Reset": str(reset_s)}
        super().__init__("Too many tries; wait a moment and try again", retry_after=reset_s, headers=headers)


class Limit:
    """A rate limit such as 10/minute, applied to each subject (an address, an account) separately.

    The window moves: any 60 seconds contain at most 10 hits. The check and the count are one atomic step. Without Redis
    each replica counts for itself, and what it counted before goes on counting.
    """

    def __init__(self, redis: RedisClient, name: str, rate: str) -> None:
        # The pool of our client. The annotation of `limits` allows plain options only.
        pool: Any = redis.raw.connection_pool
        storage = RedisStorage("async+redis://", implementation="redispy", connection_pool=pool, key_prefix="limit")
        self._redis = redis
        self._name = name
        self._item: RateLimitItem = parse(rate)
        self._shared = MovingWindowRateLimiter(storage)
        self._local = LocalWindows(self._item.amount, self._item.get_expiry())

    async def hit(self, subject: str) -> None:
        """Count one try. Raises TooManyTries when the window is full; a refused try is not counted."""
        await self._require(subject, self._shared.hit, writes=True)
        self._local.add(subject)

    def test_local(self, subject: str) -> None:
        """Raise TooManyTries when the counts of this process alone fill the window. Costs no round trip."""
        self._refuse(self._local.wait_s(subject))

    async def test(self, subject: str) -> None:
        """Raise TooManyTries when the window is full. Counts nothing."""
        await self._require(subject, self._shared.test, writes=False)

    async def _require(self, subject: str, is_allowed: Callable[..., Awaitable[bool]], *, writes: bool) -> None:
        name = (self._name, hashlib.sha256(subject.encode()).hexdigest()[:32])

        async def wait(_: Redis) -> float:
            if await is_allowed(self._item, *name):
                return 0.0
            return (await self._shared.get_window_stats(self._item, *name)).reset_time - time.time() or 1.0

        # What is full here is full in Redis too, so that a flood of one subject costs no round trip.
        self.test_local(subject)
        shared = await self._redis.or_default(wait, None, writes=writes)
        if shared is None:
            SKIPPED.labels(self._name).inc()
        # Again, because others may have been counted meanwhile.
        self._refuse(shared or self._local.wait_s(subject))

    def _refuse(self, left: float) -> None:
        """Raise TooManyTries when there are seconds left until the next try."""
        if left:
            wait_s = max(1, math.ceil(left))
            log.warning("rate limit reached", limit=self._name, wait_s=wait_s)
            raise TooManyTries(limit=self._item.amount, reset_s=wait_s)


class LocalWindows:
    """Moving windows of this process. The library's walks over all subjects in a thread at each hit."""

    def __init__(self, amount: int, span_s: float) -> None:
        self._amount = amount
        self._span_s = span_s
        self._hits: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, subject: str) -> float:
        """Return the seconds until a hit fits into the window, 0 when it fits now."""
        hits = self._hits.get(subject)
        if hits is None or len(hits) < self._amount:
            return 0.0
        return max(0.0, hits[0] + self._span_s - time.monotonic())

    def add(self, subject: str) -> None:
        hits = self._hits.setdefault(subject, deque(maxlen=self._amount))
        hits.append(time.monotonic())
        self._hits.move_to_end(subject)
        if len(self._hits) > SUBJECTS:
            self._hits.popitem(last=False)

"""Rate limits, counted in Redis for all replicas together and in each process as a second line."""

import hashlib
import math
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Annotated, Any

import structlog
from limits import RateLimitItem, parse, parse_many
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from prometheus_client import Counter
from pydantic import AfterValidator
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from chassis.batching import Batches
from chassis.errors import RateLimited
from chassis.redis.client import RedisClient

log = structlog.get_logger(__name__)

SKIPPED = Counter(
    "gocommerce_rate_limit_skipped_total",
    "Requests that only this process has counted, because Redis did not",
    ["limit"],
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
        options: Any = {"connection_pool": redis.raw.connection_pool}
        self._storage = RedisStorage("async+redis://", implementation="redispy", key_prefix="limit", **options)
        self._redis = redis
        self._name = name
        self._item: RateLimitItem = parse(rate)
        self._shared = MovingWindowRateLimiter(self._storage)
        self._local = LocalWindows(self._item.amount, self._item.get_expiry())
        # Redis away is a result, so that what is an error concerns all.
        self._hits = Batches(self._hit_all, lambda _: False, at_work=1)

    async def hit(self, subject: str) -> None:
        """Count one try. Raises TooManyTries when the window is full; a refused try is not counted."""
        # What is full here is full in Redis too, so that a flood of one subject costs no round trip.
        self.test_local(subject)
        await self._decide(subject, await self._hits.submit(subject))
        self._local.add(subject)

    def test_local(self, subject: str) -> None:
        """Raise TooManyTries when the counts of this process alone fill the window. Costs no round trip."""
        self._refuse(self._local.wait_s(subject))

    async def test(self, subject: str) -> None:
        """Raise TooManyTries when the window is full. Counts nothing."""
        self.test_local(subject)
        await self._decide(subject, await self._has_room(subject))

    async def _has_room(self, subject: str) -> bool | None:
        """Ask for the hit that the next one would push out: the window is full while it is young. None without Redis.

        The library's `test` would search the window with a script, over a connection of its own.
        """
        key, place = self._key(subject), self._item.amount - 1
        hit = await self._redis.or_default(lambda _: self._redis.reads.lindex(key, place), False)
        if hit is False:
            return None
        return hit is None or float(hit) < time.time() - self._item.get_expiry()

    async def _decide(self, subject: str, allowed: bool | None) -> None:
        """Raise TooManyTries unless Redis, or this process where Redis did not answer (None), allows the try."""
        wait_s = 0.0
        if allowed is None:
            SKIPPED.labels(self._name).inc()
        elif not allowed:
            wait_s = await self._redis.or_default(lambda _: self._wait_s(subject), 1.0)
        # Again, because others may have been counted meanwhile.
        self._refuse(wait_s or self._local.wait_s(subject))

    def _key(self, subject: str) -> str:
        """Return the library's key of a window: a list of the times of hits, the newest first."""
        bridge: Any = self._storage.bridge
        key: str = bridge.prefixed_key(self._item.key_for(*self._window(subject)))
        return key

    def _window(self, subject: str) -> tuple[str, str]:
        return self._name, hashlib.sha256(subject.encode()).hexdigest()[:32]

    async def _wait_s(self, subject: str) -> float:
        reset_time = (await self._shared.get_window_stats(self._item, *self._window(subject))).reset_time
        return reset_time - time.time() or 1.0

    async def _hit_all(self, subjects: Sequence[str]) -> Sequence[bool | None]:
        """Count tries in one round trip; each is still one atomic step. Returns None if Redis did not answer."""

        async def count(client: Redis) -> list[bool]:
            if len(subjects) == 1:
                return [await self._shared.hit(self._item, *self._window(subjects[0]))]
            # As the library's `acquire_entry`, which knows no pipeline.
            bridge: Any = self._storage.bridge
            arguments = [time.time(), self._item.amount, self._item.get_expiry(), 1]
            keys = [self._key(subject) for subject in subjects]
            acquired = await _run_for_each(client, bridge.lua_acquire_moving_window, keys, arguments)
            return [bool(answer) for answer in acquired]

        counted = await self._redis.or_default(count, None, writes=True)
        return [None] * len(subjects) if counted is None else counted

    def _refuse(self, left: float) -> None:
        """Raise TooManyTries when there are seconds left until the next try."""
        if left:
            wait_s = max(1, math.ceil(left))
            log.warning("rate limit reached", limit=self._name, wait_s=wait_s)
            raise TooManyTries(limit=self._item.amount, reset_s=wait_s)


async def _run_for_each(client: Redis, script: Any, keys: Sequence[str], arguments: Sequence[float]) -> list[Any]:
    """Run a script for each key and return its answers: in one round trip, while the server knows the script.

    For a script object in a pipeline redis-py asks each time whether it does, in a round trip before that.
    """
    try:
        async with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.evalsha(script.sha, 1, key, *arguments)
            return await pipe.execute()
    except NoScriptError:
        # None has run, unless the script was lost between two of them: then some count twice, and none too little.
        async with client.pipeline(transaction=False) as pipe:
            for key in keys:
                await script([key], arguments, client=pipe)
            return await pipe.execute()


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

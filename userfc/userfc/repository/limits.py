"""Rate limits, counted in Redis for all replicas together. Without Redis no request is limited."""

import hashlib
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from limits import RateLimitItem, parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from prometheus_client import Counter
from redis.asyncio import Redis

from chassis.redis import RedisClient
from userfc.config import Settings
from userfc.errors import TooManyTries

log = structlog.get_logger(__name__)

SKIPPED = Counter("rate_limit_skipped_total", "Requests that were not limited because Redis was down", ["limit"])


class Limits:
    """The rate limits of userfc."""

    def __init__(self, redis: RedisClient, settings: Settings) -> None:
        self.logins_of_address = Limit(redis, "login_address", settings.login_limit_per_address)
        self.failures_of_account = Limit(redis, "login_account", settings.login_limit_per_account)
        self.registrations_of_address = Limit(redis, "register_address", settings.register_limit_per_address)


class Limit:
    """A rate limit such as 10/minute, applied to each subject (an address, an account) separately.

    The window moves: any 60 seconds contain at most 10 hits. The check and the count are one atomic step.
    """

    def __init__(self, redis: RedisClient, name: str, rate: str) -> None:
        # The pool of our client, because of its time-outs. The annotation of `limits` allows plain options only.
        pool: Any = redis.raw.connection_pool
        storage = RedisStorage("async+redis://", implementation="redispy", connection_pool=pool, key_prefix="limit")
        self._redis = redis
        self._name = name
        self._item: RateLimitItem = parse(rate)
        self._window = MovingWindowRateLimiter(storage)

    async def hit(self, subject: str) -> None:
        """Count one try. Raises TooManyTries when the window is full; a refused try is not counted."""
        await self._require(subject, self._window.hit)

    async def test(self, subject: str) -> None:
        """Raise TooManyTries when the window is full. Counts nothing."""
        await self._require(subject, self._window.test)

    async def _require(self, subject: str, is_allowed: Callable[..., Awaitable[bool]]) -> None:
        name = (self._name, hashlib.sha256(subject.encode()).hexdigest()[:32])

        async def reset_time(_: Redis) -> float | None:
            if await is_allowed(self._item, *name):
                return None
            return (await self._window.get_window_stats(self._item, *name)).reset_time

        down = -1.0
        reset = await self._redis.or_default(reset_time, down)
        if reset == down:
            SKIPPED.labels(self._name).inc()
        elif reset is not None:
            wait = max(1, math.ceil(reset - time.time()))
            log.warning("rate limit reached", limit=self._name, wait_s=wait)
            raise TooManyTries(limit=self._item.amount, reset_s=wait)

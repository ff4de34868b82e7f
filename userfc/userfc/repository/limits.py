"""Rate limits, counted by Redis for all replicas at once; without Redis nobody is limited."""

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

SKIPPED = Counter("rate_limit_skipped_total", "Requests that were not limited because Redis was away", ["limit"])


class Limits:
    """The rate limits of userfc, each from its setting."""

    def __init__(self, redis: RedisClient, settings: Settings) -> None:
        self.logins_of_address = Limit(redis, "login_address", settings.login_limit_per_address)
        self.failures_of_account = Limit(redis, "login_account", settings.login_limit_per_account)
        self.registrations_of_address = Limit(redis, "register_address", settings.register_limit_per_address)


class Limit:
    """One rate limit, for example 10/minute, kept for each subject by itself (an address, an account).

    The window moves: any span of its length has at most so many hits. Counting and refusing is one atomic step.
    """

    def __init__(self, redis: RedisClient, name: str, rate: str) -> None:
        # The client's own pool, and with it its time-outs; limits' annotation knows only plain options.
        pool: Any = redis.raw.connection_pool
        storage = RedisStorage("async+redis://", implementation="redispy", connection_pool=pool, key_prefix="limit")
        self._redis = redis
        self._name = name
        self._item: RateLimitItem = parse(rate)
        self._window = MovingWindowRateLimiter(storage)

    async def hit(self, subject: str) -> None:
        """Count one try. Raises TooManyTries when the window is full; a refused try does not count."""
        await self._pass(subject, self._window.hit)

    async def test(self, subject: str) -> None:
        """Raise TooManyTries when the window is full; counts nothing."""
        await self._pass(subject, self._window.test)

    async def _pass(self, subject: str, ask: Callable[..., Awaitable[bool]]) -> None:
        name = (self._name, hashlib.sha256(subject.encode()).hexdigest()[:32])

        async def work(_: Redis) -> float | None:
            if await ask(self._item, *name):
                return None
            return (await self._window.get_window_stats(self._item, *name)).reset_time

        away = -1.0
        reset = await self._redis.or_default(work, away)
        if reset == away:
            SKIPPED.labels(self._name).inc()
        elif reset is not None:
            wait = max(1, math.ceil(reset - time.time()))
            log.warning("rate limit reached", limit=self._name, wait_s=wait)
            raise TooManyTries(limit=self._item.amount, reset_s=wait)

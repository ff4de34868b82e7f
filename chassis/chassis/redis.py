"""The Redis client: short time-outs, and a circuit breaker that makes an outage cheap."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from chassis.config.settings import ServiceSettings
from chassis.errors import Unavailable

log = structlog.get_logger(__name__)

TIMEOUT_S = 0.2
BREAK_S = 1.0
# Commands at once. Callers beyond it wait: a connection for each of them would take longer than the time-out to open.
SLOTS = 32
SLOT_TIMEOUT_S = 1.0
# More than callers can need: with redis-py's default of 100 a burst would count as an outage and end rate limits.
MAX_CONNECTIONS = 10_000

OUTAGES = Counter("redis_outages_total", "Times that Redis stopped answering this process")

T = TypeVar("T")
D = TypeVar("D")

FAILURES = (RedisError, OSError, TimeoutError)


class RedisClient:
    """Redis with a default in place of errors. Values are bytes. `raw` is redis-py's client, which raises."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.raw: Redis = Redis(
            host=settings.redis_host,
            port=settings.redis_port,
            password=settings.redis_password.get_secret_value() or None,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            # One more try for a pooled connection that a restarted server has closed; time-outs are not repeated.
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
            client_name=settings.service,
            max_connections=MAX_CONNECTIONS,
        )
        self._slots = asyncio.Semaphore(SLOTS)
        self._down = False
        self._closed_until = 0.0

    async def or_default(self, work: Callable[[Redis], Awaitable[T]], default: D) -> T | D:
        """Run `work(client)` and return its result, or `default` when Redis fails.

        After a failure every caller gets `default` at once for 1 s; then one caller a second tries Redis again. Without
        a free slot within 1 s a caller gets `default` too.
        """
        try:
            async with asyncio.timeout(SLOT_TIMEOUT_S):
                await self._slots.acquire()
        except TimeoutError:
            return default
        try:
            return await self._attempt(work, default)
        finally:
            self._slots.release()

    async def _attempt(self, work: Callable[[Redis], Awaitable[T]], default: D) -> T | D:
        now = time.monotonic()
        if self._down:
            if now < self._closed_until:
                return default
            self._closed_until = now + BREAK_S
        try:
            result = await work(self.raw)
        except FAILURES as error:
            self._failed(error)
            return default
        if self._down:
            self._down = False
            log.info("redis answers again")
        return result

    async def ping(self) -> None:
        """Raise Unavailable when Redis does not answer."""
        try:
            await self.raw.ping()
        except FAILURES as error:
            raise Unavailable("Redis does not answer") from error

    async def close(self) -> None:
        await self.raw.aclose()

    def _failed(self, error: BaseException) -> None:
        self._closed_until = time.monotonic() + BREAK_S
        if not self._down:
            self._down = True
            OUTAGES.inc()
            log.warning("redis is down", error=f"{type(error).__name__}: {error}")

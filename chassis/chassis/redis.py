"""Redis as something that may be missing: short time-outs, and a breaker so that an outage is cheap."""

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
# A rush of callers waits for its turn: each with a connection of its own would take so long to connect as to time out.
SLOTS = 32
TURN_S = 1.0
# Beyond any number of callers: redis-py's hundred would make the rush look like an outage, with nobody rate limited.
MAX_CONNECTIONS = 10_000

OUTAGES = Counter("redis_outages_total", "Times that Redis stopped answering this process")

T = TypeVar("T")
D = TypeVar("D")

FAILURES = (RedisError, OSError, TimeoutError)


class RedisClient:
    """A Redis client that gives a default instead of an error. Answers are bytes.

    `raw` is redis-py's own client, for callers that want its errors.
    """

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

    @property
    def down(self) -> bool:
        """Tell whether the last try failed."""
        return self._down

    async def try_(self, work: Callable[[Redis], Awaitable[T]], default: D) -> T | D:
        """Run `work(client)`; give `default` when Redis fails, or at once within 1 s after it failed.

        Only one caller a second finds out whether a Redis that was down is back. A caller whose turn does not come within
        1 s gets `default`, too.
        """
        try:
            async with asyncio.timeout(TURN_S):
                await self._slots.acquire()
        except TimeoutError:
            return default
        try:
            return await self._tried(work, default)
        finally:
            self._slots.release()

    async def _tried(self, work: Callable[[Redis], Awaitable[T]], default: D) -> T | D:
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
        """Ask for an answer. Raises Unavailable when there is none."""
        try:
            await self.raw.ping()
        except FAILURES as error:
            raise Unavailable("Redis does not answer") from error

    async def close(self) -> None:
        """Close all connections."""
        await self.raw.aclose()

    def _failed(self, error: BaseException) -> None:
        self._closed_until = time.monotonic() + BREAK_S
        if not self._down:
            self._down = True
            OUTAGES.inc()
            log.warning("redis is down", error=f"{type(error).__name__}: {error}")

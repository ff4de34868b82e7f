"""Redis as a helper that may be away: short time limits, and a breaker so that an outage costs a request nothing."""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import redis.asyncio
import structlog
from prometheus_client import Counter
from redis.exceptions import RedisError

from chassis.errors import Unavailable

if TYPE_CHECKING:
    from chassis.config import ServiceSettings

log = structlog.get_logger(__name__)

OUTAGES = Counter("redis_outages_total", "Times that the breaker opened")
BYPASSED = Counter("redis_bypassed_total", "Commands not sent or not answered")

TIMEOUT_S = 0.2
OPEN_S = 1.0

T = TypeVar("T")
D = TypeVar("D")


class RedisClient:
    """redis-py with time limits of 0.2 s; after a failure nothing is sent for a second."""

    def __init__(self, settings: "ServiceSettings") -> None:
        self.raw = redis.asyncio.Redis(
            host=settings.redis_host,
            port=settings.redis_port,
            password=settings.redis_password.get_secret_value() or None,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            max_connections=64,
            client_name=settings.service,
        )
        self._open_until = 0.0
        self._away = False

    async def call(self, command: Callable[["redis.asyncio.Redis"], Awaitable[T]]) -> T:
        """Run a command. Raises Unavailable when Redis does not answer, at once while the breaker is open."""
        if time.monotonic() < self._open_until:
            BYPASSED.inc()
            raise Unavailable("Redis is not available")
        try:
            result = await command(self.raw)
        except (RedisError, OSError, TimeoutError) as error:
            BYPASSED.inc()
            self._open_until = time.monotonic() + OPEN_S
            if not self._away:
                self._away = True
                OUTAGES.inc()
                log.warning("redis is away", error=str(error))
            raise Unavailable("Redis is not available") from error
        if self._away:
            self._away = False
            log.info("redis is back")
        return result

    async def try_(self, command: Callable[["redis.asyncio.Redis"], Awaitable[T]], default: D) -> T | D:
        """Run a command, or answer `default` when Redis is away."""
        try:
            return await self.call(command)
        except Unavailable:
            return default

    async def ping(self) -> None:
        """Ask Redis for an answer. Raises Unavailable without one."""
        await self.call(lambda client: client.ping())

    async def close(self) -> None:
        """Close the connections."""
        await self.raw.aclose()

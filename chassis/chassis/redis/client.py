"""The Redis client: a short time limit, and a default in place of errors."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from chassis.config.settings import ProcessSettings
from chassis.errors import Unavailable
from chassis.redis.breaker import Breaker
from chassis.redis.patience import patient
from chassis.redis.reads import Address, RedisReads, Values

# For a command with all that it needs, such as a new connection.
TIMEOUT_S = 0.4
# Commands at once. Callers beyond it wait: a connection for each of them would take longer than the time-out to open.
SLOTS = 32
SLOT_TIMEOUT_S = 1.0
# More than callers can need: with redis-py's default of 100 a burst would count as an outage and end rate limits.
MAX_CONNECTIONS = 10_000
# A key that is written to learn whether Redis takes writes.
PROBE, PROBE_S = "probe", 10

T = TypeVar("T")
D = TypeVar("D")

FAILURES = (RedisError, OSError, TimeoutError)
# How long idle connections may take to close; with TLS a silent server would be waited for.
CLOSE_TIMEOUT_S = 0.1


class RedisClient:
    """Redis with a default in place of errors. Values are bytes. `raw` is redis-py's client, without a time limit."""

    def __init__(self, settings: ProcessSettings) -> None:
        self.raw: Redis = Redis(
            host=settings.redis_host,
            port=settings.redis_port,
            password=settings.redis_password.get_secret_value() or None,
            ssl=settings.redis_tls,
            ssl_ca_certs=settings.redis_cafile,
            ssl_check_hostname=True,
            # The limit is `patient`: redis-py's own runs out while our event loop stands still.
            socket_timeout=None,
            socket_connect_timeout=None,
            # One more try for a pooled connection that a restarted server has closed; time-outs are not repeated.
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
            client_name=settings.service,
            max_connections=MAX_CONNECTIONS,
        )
        tls = ssl.create_default_context(cafile=settings.redis_cafile) if settings.redis_tls else None
        self.reads = RedisReads(
            Address(
                settings.redis_host,
                settings.redis_port,
                settings.redis_password.get_secret_value() or None,
                tls,
                settings.service,
            ),
            TIMEOUT_S,
        )
        self._slots = asyncio.Semaphore(SLOTS)
        self._breaker = Breaker()

    @property
    def down(self) -> bool:
        """Whether the last command that was tried got no answer."""
        return self._breaker.down

    @property
    def without_writes_s(self) -> float:
        """Seconds since the first write that failed, 0 when Redis has taken a write since then."""
        return self._breaker.without_writes_s

    async def mget(self, *keys: str) -> Values | None:
        """Return the values of keys, over the shared connection, or None if Redis does not answer.

        It takes no slot: reads that wait cost no connection.
        """
        if not self._breaker.may_try():
            return None
        try:
            values = await self.reads.mget(*keys)
        except FAILURES as error:
            self._breaker.failed(error)
            await self._leave_server(error)
            return None
        self._breaker.answered()
        return values

    async def or_default(self, work: Callable[[Redis], Awaitable[T]], default: D, *, writes: bool = False) -> T | D:
        """Run `work(client)` and return its result, or `default` when Redis fails. `writes`: the work writes.

        After a failure every caller gets `default` at once for 1 s; then one caller a second tries Redis again. Without
        a free slot within 1 s a caller gets `default` too. An error that Redis answers is no outage.
        """
        try:
            async with patient(SLOT_TIMEOUT_S):
                await self._slots.acquire()
        except TimeoutError:
            return default
        try:
            return await self._attempt(work, default, writes=writes)
        finally:
            self._slots.release()

    async def _attempt(self, work: Callable[[Redis], Awaitable[T]], default: D, *, writes: bool) -> T | D:
        if not self._breaker.may_try():
            return default
        try:
            return await self.call(work, writes=writes)
        except FAILURES:
            return default

    async def call(self, work: Callable[[Redis], Awaitable[T]], *, writes: bool = False) -> T:
        """Run `work(client)` without the breaker, within 0.4 s. Raises FAILURES."""
        try:
            async with patient(TIMEOUT_S):
                result = await work(self.raw)
        except FAILURES as error:
            self._breaker.failed(error)
            await self._leave_server(error)
            raise
        self._breaker.answered(writes=writes)
        return result

    async def takes_writes(self) -> bool:
        """Return whether Redis stores a key. A read-only replica, a full Redis and one without its disk do not."""
        return bool(await self.or_default(_store_probe, False, writes=True))

    async def ping(self) -> None:
        """Raise Unavailable when Redis does not answer, or refuses writes."""
        try:
            await self.call(_store_probe, writes=True)
        except ResponseError as error:
            raise Unavailable("Redis refuses writes") from error
        except FAILURES as error:
            raise Unavailable("Redis does not answer") from error

    async def close(self) -> None:
        await self.reads.close()
        await self.raw.aclose()

    async def _leave_server(self, error: BaseException) -> None:
        """Close the idle connections to a server that is silent or demoted: its name may lead to another one by now."""
        if self._breaker.leaves(error):
            self.reads.leave()
            with suppress(*FAILURES):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self.raw.connection_pool.disconnect(inuse_connections=False)


async def _store_probe(client: Redis) -> bool:
    return bool(await client.set(PROBE, b"1", ex=PROBE_S))

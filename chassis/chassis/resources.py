"""What every service opens, and the parts from which one process is assembled."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from grpc import aio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from chassis import telemetry
from chassis.auth.revocation import CACHE_S, Authority, Revocations
from chassis.auth.tokens import TokenVerifier
from chassis.config.declare import plain
from chassis.config.settings import ProcessSettings, ServiceSettings
from chassis.db import revisions
from chassis.db.database import Database
from chassis.db.housekeeping import Purge
from chassis.db.outbox_admin import RetryHook
from chassis.http.probes import Readiness
from chassis.http.shortcuts import Answer
from chassis.kafka.consumer import Handler
from chassis.kafka.relay import Hook
from chassis.loops import Task
from chassis.redis.client import RedisClient
from chassis.redis.traced import TracedRedisClient

Close = Callable[[], Awaitable[None]]
CLOSE_TIMEOUT_S = 2


async def close_all(closes: Sequence[Close]) -> None:
    """Close all at once, for at most CLOSE_TIMEOUT_S; what fails is left."""

    async def bounded(close: Close) -> None:
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await close()

    await asyncio.gather(*(bounded(close) for close in closes))


def start_tracing(settings: ProcessSettings) -> TracerProvider:
    """Set up the tracing of this process, also for libraries. The services share JWT_SECRET, and so choose the same."""
    provider = telemetry.setup(
        settings.service,
        settings.otel_exporter_otlp_endpoint,
        settings.otel_traces_ratio,
        environment=settings.environment,
        secret=plain(settings.jwt_secret),
    )
    trace.set_tracer_provider(provider)
    return provider


class Neighbour(Protocol):
    """A dependency that can be asked for a sign of life, and is closed at the end."""

    async def ping(self) -> None:
        """Raise when there is no answer."""

    async def close(self) -> None:
        """Close all connections."""


N = TypeVar("N", bound=Neighbour)


class Connections:
    """The Redis of a process, its readiness, and what is to be closed. Nothing connects before it is used."""

    def __init__(self, settings: ProcessSettings) -> None:
        self.settings = settings
        self.ready = Readiness()
        self.close: list[Close] = []
        self.redis = self.add("redis", (TracedRedisClient if settings.otel_database_spans else RedisClient)(settings))

    @property
    def database(self) -> Database:
        """The database of the process. Raises TypeError when it has none."""
        raise TypeError("this process has no database")

    def verifier(self, authority: Authority, cache_s: float = CACHE_S) -> TokenVerifier:
        """Make the check of bearer tokens.

        `authority` decides when Redis can't say whether a token was revoked; its answers are kept for `cache_s`.
        """
        return TokenVerifier(self.settings.jwt_secret, Revocations(self.redis, authority, cache_s))

    def add(self, name: str, neighbour: N, *, critical: bool = False) -> N:
        """Report a dependency in `/ready`, close it at the end, and return it."""
        self.ready.add(name, neighbour.ping, critical)
        self.close.append(neighbour.close)
        return neighbour


class Resources(Connections):
    """What a service with a database opens: that database, too."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings)
        self.db = self.add("database", Database(settings), critical=True)
        self.ready.migrations = partial(revisions.check_current, self.db, settings.service)

    @property
    def database(self) -> Database:
        return self.db


@dataclass
class Parts:
    """A service as its `app.py` describes it; `chassis.service` assembles the process.

    `state` is put on `app.state` for the routes. `handlers` is the table topic -> handler of the consumer group; a
    service without one has neither consumer nor relay. `loops` run in `serve` and `worker`, `api_loops` in `api` too.
    `purges` run in the housekeeping, `on_published` and `on_parked` are hooks of the relay, `on_retry` records that an
    administrator has an event sent again. `shortcuts` answer the hottest reads, by the template of their route. `grpc`
    makes the server, in the one process that serves it.
    """

    resources: Connections
    verifier: TokenVerifier
    state: Mapping[str, Any]
    grpc: Callable[[], Awaitable[aio.Server]] | None = None
    handlers: Mapping[str, Handler] = field(default_factory=dict)
    loops: Sequence[Task] = ()
    api_loops: Sequence[Task] = ()
    purges: Sequence[Purge] = ()
    on_published: Hook | None = None
    on_parked: Hook | None = None
    on_retry: RetryHook | None = None
    shortcuts: Mapping[str, Answer] = field(default_factory=dict)

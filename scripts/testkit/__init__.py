"""The pytest plugin that provides servers to tests: `-p testkit`.

They come from the first of: addresses in the environment (TEST_POSTGRES_DSN, TEST_REDIS_URL, TEST_KAFKA_BROKER,
TEST_MONGO_URI); testcontainers with TEST_CONTAINERS=1; the local stack's native servers on free ports.
"""

import asyncio
import inspect
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from structlog.dev import ConsoleRenderer, plain_traceback

from testkit.databases import Databases
from testkit.ports import free_port
from testkit.properties import load_profiles
from testkit.servers import Servers

if TYPE_CHECKING:
    from testkit.certificates import Certificates

__all__ = ["Databases", "Servers", "eventually", "free_port"]

load_profiles()
# Also for the processes that tests start.
os.environ.setdefault("ENVIRONMENT", "development")
# xdist sets it for its processes, and rich takes it for the width of every table.
os.environ.pop("COLUMNS", None)
# By default structlog draws the frames of an error with all their variables: up to three seconds for each.
_plain = ConsoleRenderer(colors=False, exception_formatter=plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _plain])


async def eventually(
    holds: Callable[[], Any] | Callable[[], Awaitable[Any]], deadline_s: float = 10, interval_s: float = 0.02
) -> Any:
    """Poll until `holds` returns a truthy value without an AssertionError, and return that.

    Raises AssertionError (the last one, if there was one) after the deadline.
    """
    deadline = time.monotonic() + deadline_s
    while True:
        failure: AssertionError | None = None
        try:
            answer = holds()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return answer
        except AssertionError as error:
            failure = error
        if time.monotonic() > deadline:
            raise failure or AssertionError(f"did not hold within {deadline_s:g} s")
        await asyncio.sleep(interval_s)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The servers of this session; each is started on first use and stopped at the end."""
    started = Servers(tmp_path_factory.mktemp("servers"))
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def postgres_server(servers: Servers) -> dict[str, Any]:
    """`host`, `port`, `user`, `password` of a superuser."""
    return servers.postgres()


@pytest.fixture(scope="session")
def redis_server(servers: Servers) -> dict[str, Any]:
    """`redis_host`, `redis_port`, `redis_password`: arguments for a settings class."""
    return servers.redis()


@pytest.fixture(scope="session")
def kafka_broker(servers: Servers) -> str:
    """`host:port` of a broker."""
    return servers.kafka()


@pytest.fixture(scope="session")
def mongo_uri(servers: Servers) -> str:
    """The address of a MongoDB-protocol server."""
    return servers.mongo()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> "Certificates":
    """The certificate of a server on this machine, for localhost and 127.0.0.1."""
    from testkit.certificates import Certificates

    return Certificates(tmp_path_factory.mktemp("tls") / "own", "localhost", "127.0.0.1")


@pytest.fixture(scope="session")
def strangers_ca(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of an authority that has signed no server's certificate."""
    from testkit.certificates import Certificates

    return Certificates(tmp_path_factory.mktemp("tls") / "other", "localhost").ca


@pytest.fixture(scope="session")
def make_database(postgres_server: dict[str, Any]) -> Callable[[str], Awaitable[dict[str, Any]]]:
    """Make a migrated database: `await make_database("orderfc")` returns arguments for a settings class.

    "chassis" makes an empty database.
    """
    return Databases(postgres_server).make

"""userfc on a real database and a real Redis, driven through its HTTP application and its gRPC port."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from redis.asyncio import Redis

from chassis.db.database import Database
from chassis.grpc.users import UserClient
from chassis.service import Process
from testkit import free_port
from userfc.app import SERVICE
from userfc.config import Settings
from userfc.repository.revoked_copy import RevokedCopy

PASSWORD = "a good password"
NO_LIMIT = "100000/minute"
_addresses = (f"198.18.{high}.{low}" for high, low in itertools.product(range(256), range(1, 255)))

Answer = tuple[int, dict[str, Any]]


@dataclass
class Userfc:
    """A running userfc, and hands for tests."""

    settings: Settings
    process: Process
    http: httpx2.AsyncClient
    rpc: UserClient
    db: Database = field(init=False)
    copy: RevokedCopy = field(init=False)

    def __post_init__(self) -> None:
        self.db, self.copy = self.process.app.state.db, self.process.app.state.copy

    async def call(self, method: str, path: str, token: str = "", **options: Any) -> Answer:
        """Make a request; give status and body, without the id that every refusal has (/ready's 503 is a report)."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await self.http.request(method, path, headers={**headers, **options.pop("headers", {})}, **options)
        body = answer.json()
        if answer.status_code >= 400 and path != "/ready":
            assert body.pop("request_id") == answer.headers["x-request-id"]
        return answer.status_code, body

    async def register(self, email: str = "", password: str = PASSWORD, name: str = "Ann") -> str:
        """Register somebody; give the address."""
        email = email or new_email()
        body = {"name": name, "email": email, "password": password, "confirm_password": password}
        status, answer = await self.call("POST", "/v1/register", json=body)
        assert (status, answer) == (201, {"message": "User registered successfully"})
        return email

    async def login(self, email: str, password: str = PASSWORD) -> Answer:
        """Sign in."""
        return await self.call("POST", "/v1/login", json={"email": email, "password": password})

    async def token(self, email: str = "") -> str:
        """Register somebody new (or not) and sign in."""
        status, answer = await self.login(email or await self.register())
        assert status == 200
        return str(answer["token"])

    async def execute(self, query: str, *arguments: object) -> Any:
        """Run a statement on the database; give the first value."""
        async with self.db.driver() as connection:
            return await connection.fetchval(query, *arguments)


def new_email() -> str:
    """Make an address of a test's own."""
    return f"user-{uuid4().hex[:12]}@example.com"


@asynccontextmanager
async def opened(settings: Settings, *, work: bool = False) -> AsyncIterator[Userfc]:
    """Run userfc: HTTP in process, gRPC on a port, and with `work` its background tasks."""
    settings = settings.model_copy(update={"grpc_port": free_port(), "http_host": "127.0.0.1"})
    process = await SERVICE.open(settings, workers=True)
    assert process.grpc is not None
    transport = httpx2.ASGITransport(app=process.app, client=(next(_addresses), 1))
    http = httpx2.AsyncClient(transport=transport, base_url="http://userfc", timeout=15)
    rpc = UserClient(f"127.0.0.1:{settings.grpc_port}", settings.grpc_credentials)
    async with AsyncExitStack() as stack:
        for close in process.close:
            stack.push_async_callback(close)
        await process.grpc.start()
        stack.push_async_callback(process.grpc.stop, 0)
        stack.push_async_callback(rpc.close)
        stack.push_async_callback(http.aclose)
        stop = asyncio.Event()
        running = [asyncio.ensure_future(task.run(stop)) for task in process.tasks if work]
        try:
            yield Userfc(settings, process, http, rpc)
        finally:
            stop.set()
            await asyncio.gather(*running)


class Proxy:
    """Stands in front of Redis and can be taken away; it keeps its port meanwhile, so that nobody else gets it."""

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self._target = (host, port)
        self._up = True
        self._clients: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Proxy"]:
        """Take connections, on a port of its own, until the block ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.down()

    def up(self) -> None:
        """Let connections through again."""
        self._up = True

    def down(self) -> None:
        """Reset every connection, and the new ones as they come."""
        self._up = False
        for writer in self._clients:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._up:
            writer.transport.abort()
            return
        self._clients.add(writer)
        try:
            there, out = await asyncio.open_connection(*self._target)
            await asyncio.gather(self._copy(reader, out), self._copy(there, writer))
        finally:
            self._clients.discard(writer)
            writer.close()

    @staticmethod
    async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
        finally:
            target.close()


@pytest.fixture(scope="session")
async def settings(make_database: Callable[[str], Awaitable[dict[str, Any]]], redis_server: dict[str, Any]) -> Settings:
    """Give the settings of a fresh, migrated database and a Redis, without rate limits."""
    given = {**await make_database("userfc"), **redis_server}
    for limit in ("login_limit_per_address", "login_limit_per_account", "register_limit_per_address"):
        given[limit] = NO_LIMIT
    return Settings(**given)


@pytest.fixture
async def userfc(settings: Settings) -> AsyncIterator[Userfc]:
    """Give userfc without its background work."""
    async with opened(settings) as running:
        yield running


@pytest.fixture
async def redis(redis_server: dict[str, Any]) -> AsyncIterator[Redis]:
    """Give a client of the Redis that all services share."""
    client = Redis(
        host=redis_server["redis_host"], port=redis_server["redis_port"], password=redis_server["redis_password"]
    )
    yield client
    await client.aclose()


@pytest.fixture
async def proxy(redis_server: dict[str, Any]) -> AsyncIterator[Proxy]:
    """Give a way to Redis that is up."""
    async with Proxy(redis_server["redis_host"], redis_server["redis_port"]).listening() as made:
        yield made

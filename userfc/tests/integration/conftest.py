"""userfc on a real database and a real Redis, driven through its HTTP application and its gRPC port."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
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
from testkit.proxy import Proxy
from userfc.app import SERVICE
from userfc.config import Settings
from userfc.repository.revoked_copy import RevokedCopy

PASSWORD = "a good password"
NO_LIMIT = "100000/minute"
_addresses = (f"198.18.{high}.{low}" for high, low in itertools.product(range(256), range(1, 255)))

Answer = tuple[int, dict[str, Any]]


@dataclass
class Userfc:
    """A running userfc, and what tests do with it."""

    settings: Settings
    process: Process
    http: httpx2.AsyncClient
    rpc: UserClient
    db: Database = field(init=False)
    copy: RevokedCopy = field(init=False)

    def __post_init__(self) -> None:
        self.db, self.copy = self.process.app.state.db, self.process.app.state.copy

    async def call(self, method: str, path: str, token: str = "", **options: Any) -> Answer:
        """Make a request and return status and body, without the request id of a refusal (a 503 of /ready has none)."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await self.http.request(method, path, headers={**headers, **options.pop("headers", {})}, **options)
        body = answer.json()
        if answer.status_code >= 400 and path != "/ready":
            assert body.pop("request_id") == answer.headers["x-request-id"]
        return answer.status_code, body

    async def register(self, email: str = "", password: str = PASSWORD, name: str = "Ann") -> str:
        """Register a user and return the address."""
        email = email or new_email()
        body = {"name": name, "email": email, "password": password, "confirm_password": password}
        status, answer = await self.call("POST", "/v1/register", json=body)
        assert (status, answer) == (201, {"message": "User registered successfully"})
        return email

    async def login(self, email: str, password: str = PASSWORD) -> Answer:
        return await self.call("POST", "/v1/login", json={"email": email, "password": password})

    async def token(self, email: str = "") -> str:
        """Sign in, by default as a new user, and return the token."""
        status, answer = await self.login(email or await self.register())
        assert status == 200
        return str(answer["token"])

    async def execute(self, query: str, *arguments: object) -> Any:
        """Run a statement and return its first value."""
        async with self.db.driver() as connection:
            return await connection.fetchval(query, *arguments)


def new_email() -> str:
    """Return an address that no other test uses."""
    return f"user-{uuid4().hex[:12]}@example.com"


@asynccontextmanager
async def opened(settings: Settings, *, work: bool = False) -> AsyncIterator[Userfc]:
    """Run userfc: HTTP in process, gRPC on a port, and its background tasks with `work`."""
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


@pytest.fixture(scope="session")
async def settings(make_database: Callable[[str], Awaitable[dict[str, Any]]], redis_server: dict[str, Any]) -> Settings:
    """Settings of a fresh, migrated database and a Redis, without rate limits."""
    values = {**await make_database("userfc"), **redis_server}
    for limit in (
        "login_limit_per_address",
        "login_limit_per_account",
        "login_limit_per_account_total",
        "register_limit_per_address",
    ):
        values[limit] = NO_LIMIT
    return Settings(**values)


@pytest.fixture
async def userfc(settings: Settings) -> AsyncIterator[Userfc]:
    """userfc without its background work."""
    async with opened(settings) as running:
        yield running


@pytest.fixture
async def redis(redis_server: dict[str, Any]) -> AsyncIterator[Redis]:
    """A client of the Redis that all services share."""
    client = Redis(
        host=redis_server["redis_host"], port=redis_server["redis_port"], password=redis_server["redis_password"]
    )
    yield client
    await client.aclose()


@pytest.fixture
async def proxy(redis_server: dict[str, Any]) -> AsyncIterator[Proxy]:
    """A proxy in front of Redis."""
    async with Proxy(redis_server["redis_host"], redis_server["redis_port"]) as proxy:
        yield proxy

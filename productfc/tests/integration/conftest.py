"""productfc on a real database and a real Redis, driven through its HTTP application and its message handlers."""

import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI

from chassis.auth.tokens import TokenVerifier, encode_token
from chassis.db.database import Database
from chassis.events import Message
from chassis.kafka.consumer import BatchHandler
from chassis.loops import Task
from productfc.app import SERVICE
from productfc.config import Settings
from productfc.handler.kafka import handlers
from productfc.repository.cache import ProductCache
from testkit.proxy import Proxy

_offsets = itertools.count(1)
_orders = itertools.count(1)

Lines = list[tuple[int, int]]


@dataclass
class Shop:
    """A running productfc, and what tests do with it."""

    settings: Settings
    db: Database
    cache: ProductCache
    app: FastAPI
    http: httpx2.AsyncClient
    tasks: Sequence[Task] = ()

    def token(self, role: str = "admin") -> dict[str, str]:
        """Return the headers of a signed-in user."""
        token = encode_token(self.settings.jwt_secret, user_id=1, email="a@example.com", role=role)
        return {"Authorization": f"Bearer {token}"}

    async def category(self, name: str = "") -> int:
        """Create a category, by default with a name of its own, and return its id."""
        body = {"name": name or f"Category {uuid4().hex[:8]}"}
        answer = await self.http.post("/v1/products/categories", json=body, headers=self.token())
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    async def product(self, **fields: Any) -> int:
        """Create a product, by default 5 units at 1000 in a category of its own, and return its id."""
        body = {"name": f"Product {uuid4().hex[:8]}", "price": 1000, "stock": 5, **fields}
        body.setdefault("category_id", await self.category())
        answer = await self.http.post("/v1/products", json=body, headers=self.token())
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    async def stock(self, product_id: int) -> int:
        """Read the free stock from the database and check that the HTTP answer of a product on sale agrees."""
        stock = await self.value("SELECT stock FROM products WHERE id = $1", product_id)
        answer = await self.http.get(f"/v1/products/{product_id}")
        assert answer.status_code == 404 or answer.json()["stock"] == stock
        return int(stock)

    async def value(self, query: str, *arguments: object) -> Any:
        """Run a statement and return its first value."""
        async with self.db.driver() as connection:
            return await connection.fetchval(query, *arguments)

    async def states(self, order_id: int) -> list[str]:
        """Return the ledger states of an order, by product id."""
        query = "SELECT state FROM stock_ledger WHERE order_id = $1 ORDER BY product_id"
        async with self.db.driver() as connection:
            return [row[0] for row in await connection.fetch(query, order_id)]

    async def rejections(self, order_id: int) -> list[dict[str, Any]]:
        """Return the payloads of an order's stock.rejected events."""
        query = "SELECT payload::text FROM outbox WHERE topic = 'stock.rejected' AND key = $1"
        async with self.db.driver() as connection:
            return [json.loads(row[0]) for row in await connection.fetch(query, f"order-{order_id}")]

    async def deliver(self, topic: str, order_id: int, lines: Lines, event_id: str = "") -> None:
        """Pass a message to the handler of its topic, by default with a new event id."""
        await handlers(self.db, self.cache)[topic](stock_event(topic, order_id, lines, event_id))

    async def deliver_together(self, messages: Sequence[Message]) -> None:
        """Pass messages of one topic to its handler in one run."""
        handler = handlers(self.db, self.cache)[messages[0].topic]
        assert isinstance(handler, BatchHandler)
        await handler.many(messages)


def stock_event(topic: str, order_id: int, lines: Lines, event_id: str = "") -> Message:
    """Make a message of a stock topic, by default with a new event id."""
    products = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in lines]
    value = json.dumps({"order_id": order_id, "products": products}).encode()
    headers = [("ce_id", (event_id or str(uuid4())).encode())]
    return Message.received(topic, 0, next(_offsets), f"order-{order_id}".encode(), value, headers)


def new_order() -> int:
    """Return an order id that no other test uses."""
    return next(_orders)


@pytest.fixture(scope="session")
async def settings(make_database: Callable[[str], Awaitable[dict[str, Any]]], redis_server: dict[str, Any]) -> Settings:
    """Settings of a fresh, migrated database and a Redis."""
    return Settings(**await make_database("productfc"), **redis_server)


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    """productfc's HTTP application after the first sweep of its cache."""
    async with open_shop(settings) as shop:
        await shop.cache.sweep()
        assert shop.cache.trusted
        yield shop


@asynccontextmanager
async def open_shop(settings: Settings) -> AsyncIterator[Shop]:
    """Open productfc's parts as `api` does, and close them at the end."""
    process = await SERVICE.open(settings, workers=False)
    app = process.app
    # The chassis tests revocation; here only the token's signature and role count.
    app.state.verifier = TokenVerifier(settings.jwt_secret)
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://productfc", timeout=15)
    async with AsyncExitStack() as stack:
        for close in process.close:
            stack.push_async_callback(close)
        stack.push_async_callback(http.aclose)
        yield Shop(settings, app.state.db, app.state.cache, app, http, process.tasks)


@pytest.fixture
async def proxy(redis_server: dict[str, Any]) -> AsyncIterator[Proxy]:
    """A proxy in front of Redis."""
    async with Proxy(redis_server["redis_host"], redis_server["redis_port"]) as proxy:
        yield proxy

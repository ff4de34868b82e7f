"""productfc on a real database and a real Redis, driven through its HTTP application and its message handlers."""

import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI

from chassis.auth.tokens import TokenVerifier, encode_token
from chassis.db.database import Database
from chassis.events import Message
from productfc.app import SERVICE
from productfc.config import Settings
from productfc.handler.kafka import handlers
from productfc.repository.cache import ProductCache

_offsets = itertools.count(1)
_orders = itertools.count(1)

Lines = list[tuple[int, int]]


@dataclass
class Shop:
    """What a test needs at hand."""

    settings: Settings
    db: Database
    cache: ProductCache
    app: FastAPI
    http: httpx2.AsyncClient

    def token(self, role: str = "admin") -> dict[str, str]:
        """Make the headers of a user."""
        token = encode_token(self.settings.jwt_secret, user_id=1, email="a@example.com", role=role)
        return {"Authorization": f"Bearer {token}"}

    async def category(self, name: str = "") -> int:
        """Make a category of a test's own."""
        body = {"name": name or f"Category {uuid4().hex[:8]}"}
        answer = await self.http.post("/v1/products/categories", json=body, headers=self.token())
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    async def product(self, **fields: Any) -> int:
        """Make a product of a test's own; 5 pieces at 1000."""
        body = {"name": f"Product {uuid4().hex[:8]}", "price": 1000, "stock": 5, **fields}
        body.setdefault("category_id", await self.category())
        answer = await self.http.post("/v1/products", json=body, headers=self.token())
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    async def stock(self, product_id: int) -> int:
        """Read the free stock, archived or not, and check that the cached answer is no other."""
        stock = await self.value("SELECT stock FROM products WHERE id = $1", product_id)
        answer = await self.http.get(f"/v1/products/{product_id}")
        assert answer.status_code == 404 or answer.json()["stock"] == stock
        return int(stock)

    async def value(self, query: str, *arguments: object) -> Any:
        """Read one value from the database."""
        async with self.db.driver() as connection:
            return await connection.fetchval(query, *arguments)

    async def states(self, order_id: int) -> list[str]:
        """Give the ledger states of an order by product id."""
        async with self.db.driver() as connection:
            rows = await connection.fetch(
                "SELECT state FROM stock_ledger WHERE order_id = $1 ORDER BY product_id", order_id
            )
        return [row[0] for row in rows]

    async def rejections(self, order_id: int) -> list[dict[str, Any]]:
        """Give the stock.rejected events of an order."""
        async with self.db.driver() as connection:
            rows = await connection.fetch(
                "SELECT payload::text FROM outbox WHERE topic = 'stock.rejected' AND key = $1", f"order-{order_id}"
            )
        return [json.loads(row[0]) for row in rows]

    async def deliver(self, topic: str, order_id: int, lines: Lines, event_id: str = "") -> None:
        """Hand a message to the handler of its topic, with a new event id unless one is given."""
        products = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in lines]
        value = json.dumps({"order_id": order_id, "products": products}).encode()
        headers = [("ce_id", (event_id or str(uuid4())).encode())]
        message = Message.received(topic, 0, next(_offsets), f"order-{order_id}".encode(), value, headers)
        await handlers(self.db, self.cache)[topic](message)


def new_order() -> int:
    """Give an order id that no other test uses."""
    return next(_orders)


@pytest.fixture(scope="session")
async def settings(make_database: Callable[[str], Awaitable[dict[str, Any]]], redis_server: dict[str, Any]) -> Settings:
    """Give the settings of a fresh, migrated database and a Redis."""
    return Settings(**await make_database("productfc"), **redis_server)


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    """Give productfc's HTTP application; its cache has had its first sweep."""
    async with opened(settings) as shop:
        await shop.cache.sweep()
        assert shop.cache.trusted
        yield shop


class opened:
    """Open productfc's parts as `api` does, and close them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __aenter__(self) -> Shop:
        self._process = await SERVICE.open(self._settings, workers=False)
        app = self._process.app
        # Who revokes tokens is the chassis' matter; here only signature and role count.
        app.state.verifier = TokenVerifier(self._settings.jwt_secret)
        self._http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app), base_url="http://productfc", timeout=15
        )
        return Shop(self._settings, app.state.db, app.state.cache, app, self._http)

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
        for close in reversed(self._process.close):
            await close()

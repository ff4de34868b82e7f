"""orderfc on a real database, with productfc played by a small in-process HTTP application."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from chassis.auth.limits import Limit
from chassis.auth.tokens import TokenVerifier, encode_token
from chassis.db.database import Database
from chassis.events import Message
from chassis.kafka.consumer import BatchHandler
from chassis.redis.client import RedisClient
from orderfc.app import SERVICE
from orderfc.client.products import ProductClient
from orderfc.config import Settings
from orderfc.handler.kafka import handlers
from orderfc.usecase.checkout import Checkout

_users = itertools.count(1)
_offsets = itertools.count(1)


class Productfc:
    """Plays productfc behind httpx2's transport: products by id, and a script of how to misbehave."""

    def __init__(self) -> None:
        self.products: dict[int, dict[str, Any]] = {}
        self.calls: list[httpx2.Request] = []
        self.answer: Callable[[httpx2.Request], Awaitable[httpx2.Response]] | None = None
        self.gate: asyncio.Event | None = None
        self.called = asyncio.Event()

    def stock(self, product_id: int, *, price: float = 150000, stock: int = 10, name: str = "Kopi") -> None:
        """Put a product on the shelf."""
        self.products[product_id] = {"id": product_id, "name": name, "price": price, "stock": stock, "category_id": 1}

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer GET /v1/products?ids= as productfc does: in the order asked, unknown ids left out."""
        self.calls.append(request)
        self.called.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.answer is not None:
            return await self.answer(request)
        assert request.url.path == "/v1/products"
        asked = [int(part) for part in request.url.params["ids"].split(",")]
        return httpx2.Response(200, json={"products": [self.products[n] for n in asked if n in self.products]})


@dataclass
class Shop:
    """What a test needs at hand."""

    settings: Settings
    db: Database
    app: FastAPI
    http: httpx2.AsyncClient
    productfc: Productfc = field(default_factory=Productfc)

    def user(self, *, role: str = "user") -> dict[str, str]:
        """Make the headers of a new user; `user_id` is under `X-Test-User`."""
        user_id = next(_users)
        token = encode_token(self.settings.jwt_secret, user_id=user_id, email=f"u{user_id}@example.com", role=role)
        return {"Authorization": f"Bearer {token}", "X-Test-User": str(user_id)}

    async def checkout(self, user: dict[str, str], body: dict[str, Any], key: str | None = None) -> httpx2.Response:
        """Send a checkout."""
        headers = user if key is None else user | {"Idempotency-Key": key}
        return await self.http.post("/v1/orders/checkout", headers=headers, json=body)

    async def order(self, user: dict[str, str], order_id: int) -> dict[str, Any]:
        """Read an order as its owner."""
        answer = await self.http.get(f"/v1/orders/{order_id}", headers=user)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def value(self, query: str, *arguments: object) -> Any:
        """Read one value from the database."""
        async with self.db.driver() as connection:
            return await connection.fetchval(query, *arguments)

    async def rows(self, query: str, *arguments: object) -> list[Any]:
        """Read rows from the database."""
        async with self.db.driver() as connection:
            return list(await connection.fetch(query, *arguments))

    async def written_for(self, user: dict[str, str]) -> tuple[int, int]:
        """Count the orders and idempotency keys of a user."""
        user_id = int(user["X-Test-User"])
        orders = await self.value("SELECT count(*) FROM orders WHERE user_id = $1", user_id)
        keys = await self.value("SELECT count(*) FROM idempotency_keys WHERE user_id = $1", user_id)
        return orders, keys

    async def deliver(self, message: Message) -> None:
        """Hand a message to the handler of its topic."""
        await handlers(self.db)[message.topic](message)


def body(*items: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Make a checkout body; without items it asks for one piece of product 1."""
    return {
        "items": list(items) or [{"product_id": 1, "quantity": 1}],
        "payment_method": "BANK_TRANSFER",
        "shipping_address": "Jalan Merdeka 1, Jakarta",
        **changes,
    }


async def deliver_together(db: Database, messages: Sequence[Message]) -> None:
    """Hand messages of one topic to its handler in one run."""
    handler = handlers(db)[messages[0].topic]
    assert isinstance(handler, BatchHandler)
    await handler.many(messages)


def message(topic: str, value: bytes, event_id: str | None = None) -> Message:
    """Make a consumed message, each at a place of its own."""
    headers = [("ce_id", event_id.encode())] if event_id else []
    return Message.received(topic, 0, next(_offsets), b"order-1", value, headers)


@pytest.fixture(scope="session")
async def settings(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> Settings:
    """Return the settings of a fresh, migrated database, without limits per customer."""
    limits: dict[str, Any] = {"checkout_limit_per_user": "100000/minute", "max_open_orders_per_user": 100_000}
    return Settings(**await make_database("orderfc"), **limits)


@asynccontextmanager
async def open_checkout(settings: Settings, db: Database, products: ProductClient) -> AsyncIterator[Checkout]:
    """Give the checkout that asks this client for products."""
    redis = RedisClient(settings)
    yield Checkout(settings, db, products, Limit(redis, "checkout_user", settings.checkout_limit_per_user))
    await redis.close()


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    """Return orderfc's HTTP application with productfc played by `Productfc`, and product 1 on the shelf."""
    async with open_shop(settings) as opened:
        yield opened


@asynccontextmanager
async def open_shop(settings: Settings) -> AsyncIterator[Shop]:
    """Open what the fixture `shop` gives, with other settings."""
    process = await SERVICE.open(settings, workers=False)
    productfc = Productfc()
    productfc.stock(1)
    products = ProductClient(settings, httpx2.MockTransport(productfc))
    db: Database = process.app.state.db
    # Who revokes tokens is the chassis' matter and needs Redis; here only the signature counts.
    process.app.state.verifier = TokenVerifier(settings.jwt_secret)
    transport = httpx2.ASGITransport(app=process.app)
    async with (
        open_checkout(settings, db, products) as process.app.state.checkout,
        httpx2.AsyncClient(transport=transport, base_url="http://orderfc", timeout=15) as client,
    ):
        yield Shop(settings, db, process.app, client, productfc)
    await products.close()
    for close in reversed(process.close):
        await close()


@pytest.fixture
async def unanalysed(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> AsyncIterator[Database]:
    """Give a database whose tables are empty, and never analysed."""
    database = Database(Settings(**await make_database("orderfc")))
    async with database.driver() as connection:
        for table in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            await connection.execute(f"ALTER TABLE {table['tablename']} SET (autovacuum_enabled = false)")
    yield database
    await database.close()

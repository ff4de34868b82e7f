"""A payment service on a real database, with fakes of Xendit and userfc."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from chassis.auth.tokens import TokenVerifier
from chassis.config.settings import load
from chassis.db.database import Database
from paymentfc.app import SERVICE
from paymentfc.config import Settings
from testkit import free_port

from .bench import Bench
from .fake_refunds import FakeRefunds
from .refund_counter import Counter

TOKEN = "tökén-1"


@pytest.fixture(scope="session")
async def settings(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> Settings:
    """Settings of a service with a fresh database."""
    return load(Settings, **await make_database("paymentfc"), payment_retry_backoff_s=0.01)


@pytest.fixture
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    """A bench with a gateway of its own, on the session's database."""
    db = Database(settings)
    bench = Bench(settings, db)
    await bench.execute(
        "TRUNCATE payments, payment_requests, payment_callbacks, payment_anomalies, payment_receipts,"
        " payment_confirmations, invoice_closings, refunds, refund_callbacks, audit_outbox, audit_heads, outbox,"
        " failed_events"
    )
    yield bench
    await db.close()


@pytest.fixture
async def app(bench: Bench, settings: Settings) -> AsyncIterator[FastAPI]:
    """The application with the bench's gateway and userfc, without Redis, Kafka and MongoDB."""
    closed = free_port()
    changes = {"redis_port": closed, "user_service_addr": f"127.0.0.1:{closed}", "xendit_webhook_token": TOKEN}
    process = await SERVICE.open(Settings(**{**settings.model_dump(), **changes}), workers=False)
    state = process.app.state
    state.users, state.request_invoice, state.confirmations = bench.users, bench.request_invoice, bench.confirmations
    state.verifier = TokenVerifier(settings.jwt_secret)
    yield process.app
    for close in reversed(process.close):
        await close()


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test") as client:
        yield client


@pytest.fixture
def counter(bench: Bench) -> Counter:
    return Counter(bench, FakeRefunds())


@pytest.fixture
async def others(bench: Bench, settings: Settings, counter: Counter) -> AsyncIterator[list[Counter]]:
    """Three services on one database and one gateway, the first one included."""
    databases = [Database(settings) for _ in range(2)]
    yield [counter, *(Counter(Bench(settings, db), counter.gateway) for db in databases)]
    for db in databases:
        await db.close()

"""A payment service on a real database, with hand-written fakes where Xendit and userfc would be."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from prometheus_client import REGISTRY

from chassis.auth.tokens import encode_token
from chassis.config.settings import load
from chassis.db.database import Database
from chassis.events import Message
from chassis.resources import Resources
from paymentfc.app import SERVICE, Gateway, loops
from paymentfc.claim_loop import ClaimLoop
from paymentfc.config import Settings
from paymentfc.events import OrderCreated, StockRejected
from paymentfc.model.callback import Callback, Outcome
from paymentfc.model.payment import Payment
from paymentfc.repository import payments
from paymentfc.usecase.check_invoices import CheckInvoices
from paymentfc.usecase.close_rejected_order import CloseRejectedOrder
from paymentfc.usecase.create_invoice import CreateInvoice
from paymentfc.usecase.receive_callback import ReceiveCallback
from paymentfc.usecase.register_payment import RegisterPayment
from paymentfc.usecase.request_invoice import RequestInvoice
from testkit import eventually, free_port

from .fakes import FakeUsers, FakeXendit

TOKEN = "tökén-1"
REPLICAS = 3
NEVER_S = 3_600.0
LOOPS = ("pending requests", "failed requests")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_order_ids = itertools.count(1)


@dataclass
class Bench:
    """The usecases of one service, and short ways to do and read things."""

    settings: Settings
    db: Database
    xendit: FakeXendit = field(default_factory=FakeXendit)
    users: FakeUsers = field(default_factory=FakeUsers)

    def __post_init__(self) -> None:
        self.wake = asyncio.Event()
        self.create = CreateInvoice(self.db, self.xendit, self.users, self.settings)
        self.checks = CheckInvoices(self.db, self.xendit, self.settings)
        self.ask = RequestInvoice(self.db, self.create, self.checks)
        self.receive = ReceiveCallback(self.db)
        self.register = RegisterPayment(self.db, self.settings, self.wake)
        self.reject = CloseRejectedOrder(self.db, asyncio.Event())

    def other(self, **settings: Any) -> "Bench":
        """Make a second service on the same database and gateway, with other settings."""
        changed = self.settings.model_copy(update=settings)
        return Bench(changed, self.db, self.xendit, self.users)

    @property
    def database(self) -> dict[str, Any]:
        """Give what another process needs to open the same database."""
        names = ("db_host", "db_port", "db_user", "db_name")
        password = self.settings.db_password.get_secret_value()
        return {name: getattr(self.settings, name) for name in names} | {"db_password": password}

    def new_id(self) -> int:
        return next(_order_ids)

    async def order(self, order_id: int | None = None, total: str = "150000", user_id: int = 3) -> Payment:
        """Let order.created arrive."""
        number = order_id or self.new_id()
        order = OrderCreated(order_id=number, user_id=user_id, total_amount=Decimal(total))
        await self.register(order, message("order.created", number))
        return await self.payment(number)

    async def rejected(self, order_id: int) -> None:
        """Let stock.rejected arrive."""
        await self.reject(StockRejected(order_id=order_id, reason="out of stock"), message("stock.rejected", order_id))

    async def invoice(self) -> None:
        """Make the invoices that are due."""
        await ClaimLoop("new", self.create.claim_new, self.create.make).drain()

    async def retry(self) -> None:
        """Make the retries that wait, without waiting for their backoff."""
        await self.execute("UPDATE payment_requests SET next_attempt_at = now() WHERE status IN ('FAILED', 'VERIFY')")
        for claim in await self.create.claim_retries(100):
            await self.create.make(claim)

    async def close_invoices(self) -> None:
        """Do the due steps of invoices that are to be closed."""
        await ClaimLoop("closings", self.checks.claim_closings, self.checks.close).drain()

    async def sweep(self) -> None:
        """Sweep payments past their expiry once."""
        for payment in await self.checks.claim_past_expiry(100):
            await self.checks.sweep(payment)

    async def expire_locally(self, payment: Payment) -> None:
        """Put a payment's expiry into the past."""
        await self.execute("UPDATE payments SET expires_at = now() - interval '1 s' WHERE id = $1", payment.id)

    async def invoiced(self, **order: Any) -> Payment:
        """Give a payment with a live invoice."""
        payment = await self.order(**order)
        await self.invoice()
        return await self.payment(payment.order_id)

    async def callback(self, payment: Payment, status: str = "PAID", **fields: Any) -> Outcome:
        """Let Xendit call back about a payment."""
        given = Callback(payment.invoice_id or "", payment.external_id, status, payment.amount, None, "IDR")
        return await self.receive(replace(given, **fields), "{}", None)

    async def payment(self, order_id: int) -> Payment:
        found = await payments.by_order(self.db, order_id)
        assert found is not None
        return found

    async def rows(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        async with self.db.driver() as connection:
            return [dict(row) for row in await connection.fetch(sql, *arguments)]

    async def execute(self, sql: str, *arguments: object) -> None:
        async with self.db.driver() as connection:
            await connection.execute(sql, *arguments)

    async def events(self, order_id: int) -> list[dict[str, Any]]:
        """Give the payloads in the outbox about an order, in order."""
        sql = "SELECT payload::text AS p FROM outbox WHERE key = $1 ORDER BY id"
        return [json.loads(row["p"]) for row in await self.rows(sql, f"order-{order_id}")]

    async def audits(self, order_id: int) -> list[str]:
        """Give the audit events about an order, in order."""
        found = await self.rows("SELECT event FROM audit_outbox WHERE order_id = $1 ORDER BY id", order_id)
        return [row["event"] for row in found]

    async def anomalies(self, order_id: int) -> list[str]:
        """Give the kinds of the anomalies of an order, in order."""
        sql = "SELECT kind FROM payment_anomalies WHERE external_id = $1 ORDER BY id"
        return [row["kind"] for row in await self.rows(sql, f"order-{order_id}")]

    async def request(self, order_id: int) -> dict[str, Any]:
        """Give the payment request of an order."""
        return (await self.rows("SELECT * FROM payment_requests WHERE order_id = $1", order_id))[0]


def message(topic: str, order_id: int) -> Message:
    """Make a new message about an order."""
    return Message(topic, 0, 0, f"order-{order_id}", b"{}", {"traceparent": TRACE}, uuid4())


@pytest.fixture(scope="session")
async def settings(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> Settings:
    """Give settings of a service with a fresh database."""
    return load(Settings, **await make_database("paymentfc"), payment_retry_backoff_s=0.01)


@pytest.fixture
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    """Give a bench of its own gateway on the session's database."""
    db = Database(settings)
    made = Bench(settings, db)
    await made.execute(
        "TRUNCATE payments, payment_requests, payment_anomalies, invoice_closings, audit_outbox, outbox, failed_events"
    )
    yield made
    await db.close()


@pytest.fixture
async def http(bench: Bench, settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """Give the application with the bench's gateway, without Redis, userfc, Kafka and MongoDB."""
    nobody = free_port()
    changed = {"redis_port": nobody, "user_service_addr": f"127.0.0.1:{nobody}", "xendit_webhook_token": TOKEN}
    process = await SERVICE.open(Settings(**{**settings.model_dump(), **changed}), workers=False)
    process.app.state.request_invoice = bench.ask
    process.app.state.verifier = type(process.app.state.verifier)(settings.jwt_secret)
    transport = httpx2.ASGITransport(app=process.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
    for close in reversed(process.close):
        await close()


def _rounds() -> list[float]:
    """Count what the loops have gone round."""
    labels = [{"loop": name, "outcome": "done"} for name in LOOPS]
    return [REGISTRY.get_sample_value("loop_runs_total", wanted) or 0 for wanted in labels]


@asynccontextmanager
async def running(bench: Bench, **intervals: float) -> AsyncIterator[None]:
    """Run the loops that make invoices as the composition root makes them, with the bench's gateway."""
    given = dict.fromkeys(("scheduler_pending_interval_s", "scheduler_retry_interval_s"), NEVER_S) | intervals
    settings = bench.settings.model_copy(update=given)
    resources = Resources(settings)
    gateway = Gateway(resources, settings, wake_invoices=bench.wake)
    gateway.create = bench.create
    stop = asyncio.Event()
    before = _rounds()
    started = [asyncio.ensure_future(loop.run(stop)) for loop in loops(gateway) if loop.name in LOOPS]
    assert len(started) == len(LOOPS)
    try:
        await eventually(lambda: all(now > then for now, then in zip(_rounds(), before, strict=True)))
        yield
    finally:
        stop.set()
        await asyncio.gather(*started)
        for close in resources.close:
            await close()


@asynccontextmanager
async def replicas(bench: Bench) -> AsyncIterator[list[Bench]]:
    """Give three services with pools of their own on one database and one gateway."""
    databases = [Database(bench.settings) for _ in range(REPLICAS)]
    yield [Bench(bench.settings, db, bench.xendit, bench.users) for db in databases]
    for db in databases:
        await db.close()


def bearer(settings: Settings, user_id: int, role: str = "user") -> dict[str, str]:
    """Make the header of a user."""
    token = encode_token(settings.jwt_secret, user_id=user_id, email="u@example.com", role=role)
    return {"authorization": f"Bearer {token}"}

"""The use-cases of a payment service, as the tests run them."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeVar
from uuid import uuid4

from chassis.auth.tokens import Principal, encode_token
from chassis.db.database import Database
from chassis.events import Message
from chassis.kafka.consumer import BatchHandler
from paymentfc.claim_loop import SLOTS
from paymentfc.client.payers import Payers
from paymentfc.config import Settings
from paymentfc.events import OrderCancelled, OrderCreated, StockRejected
from paymentfc.handler.kafka import handlers
from paymentfc.model.callback import Callback, Outcome
from paymentfc.model.payment import Payment
from paymentfc.repository import payments
from paymentfc.usecase.check_invoices import CheckInvoices
from paymentfc.usecase.close_cancelled_order import close_cancelled_order
from paymentfc.usecase.close_rejected_order import close_rejected_order
from paymentfc.usecase.confirm_callbacks import ConfirmCallbacks
from paymentfc.usecase.create_invoice import CreateInvoice
from paymentfc.usecase.receive_callback import ReceiveCallback
from paymentfc.usecase.register_payment import register_payment
from paymentfc.usecase.request_invoice import RequestInvoice

from .fakes import FakeUsers, FakeXendit

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_order_ids = itertools.count(1)

T = TypeVar("T")


@dataclass
class Bench:
    """The use-cases of one service, with short ways to run them and to read their effects."""

    settings: Settings
    db: Database
    xendit: FakeXendit = field(default_factory=FakeXendit)
    users: FakeUsers = field(default_factory=FakeUsers)

    def __post_init__(self) -> None:
        self.wake = asyncio.Event()
        self.create = CreateInvoice(self.db, self.xendit, Payers(self.users), self.settings)
        self.checks = CheckInvoices(self.db, self.xendit, self.settings)
        self.request_invoice = RequestInvoice(self.db, self.create, self.checks)
        self.confirmations = ConfirmCallbacks(self.db, self.xendit)
        self.receive_callback = ReceiveCallback(self.db, confirm=self.settings.xendit_confirm_payments)
        self.handlers = handlers(self.db, self.settings, self.wake, asyncio.Event())

    def other(self, **settings: Any) -> "Bench":
        """Return a second service on the same database and gateway, with other settings."""
        changed = self.settings.model_copy(update=settings)
        return Bench(changed, self.db, self.xendit, self.users)

    @property
    def database(self) -> dict[str, Any]:
        """The settings with which another process opens the same database."""
        names = ("db_host", "db_port", "db_user", "db_name")
        password = self.settings.db_password.get_secret_value()
        return {name: getattr(self.settings, name) for name in names} | {"db_password": password}

    def new_id(self) -> int:
        return next(_order_ids)

    async def register(self, message: Message, order: OrderCreated) -> None:
        await register_payment(self.db, self.settings, self.wake, [(message, order)])

    async def deliver_together(self, messages: Sequence[Message]) -> None:
        """Pass messages of one topic to its handler in one run."""
        handler = self.handlers[messages[0].topic]
        assert isinstance(handler, BatchHandler)
        await handler.many(messages)

    async def reject(self, message: Message, rejected: StockRejected) -> None:
        await close_rejected_order(self.db, asyncio.Event(), message, rejected)

    async def cancel(self, message: Message, cancelled: OrderCancelled) -> None:
        await close_cancelled_order(self.db, asyncio.Event(), message, cancelled)

    async def receive(self, callback: Callback) -> Outcome:
        return await self.receive_callback(callback, "{}", None)

    async def confirm(self) -> int:
        """Ask Xendit about the invoices that are due, and return their number."""
        return await drain(self.confirmations.claim, self.confirmations.confirm)

    async def confirm_later(self) -> None:
        """Ask Xendit about all invoices with unconfirmed callbacks, those in their backoff included."""
        await self.execute("UPDATE payment_confirmations SET due_at = now()")
        await self.confirm()

    async def ask(self, order_id: int, user_id: int = 3, role: str = "user") -> Payment:
        """Request the invoice of an order, as its customer or as another user."""
        caller = Principal(user_id, "u@example.com", role, "", 0)
        return await self.request_invoice(caller, order_id)

    async def order(self, order_id: int | None = None, total: str = "150000", user_id: int = 3) -> Payment:
        """Apply a new order.created."""
        number = order_id or self.new_id()
        order = OrderCreated(order_id=number, user_id=user_id, total_amount=Decimal(total))
        await self.register(message("order.created", number), order)
        return await self.payment(number)

    async def rejected(self, order_id: int) -> None:
        """Apply a new stock.rejected."""
        await self.reject(message("stock.rejected", order_id), StockRejected(order_id=order_id, reason="out of stock"))

    async def cancelled(self, order_id: int) -> None:
        """Apply a new order.cancelled."""
        cancelled = OrderCancelled(order_id=order_id, reason="by mistake")
        await self.cancel(message("order.cancelled", order_id), cancelled)

    async def invoice(self) -> None:
        await drain(self.create.claim_new, self.create.make)

    async def retry(self) -> None:
        """Run the due retries, and those that are in their backoff."""
        await self.execute("UPDATE payment_requests SET next_attempt_at = now() WHERE status IN ('FAILED', 'VERIFY')")
        for claim in await self.create.claim_retries(100):
            await self.create.make(claim)

    async def close_invoices(self) -> None:
        """Run the due steps of invoices that are to be closed."""
        await drain(self.checks.claim_closings, self.checks.close)

    async def sweep(self) -> None:
        """Sweep payments past their expiry once."""
        for payment in await self.checks.claim_past_expiry(100):
            await self.checks.sweep(payment)

    async def expire_locally(self, payment: Payment) -> None:
        """Set the expiry of a payment to one second ago."""
        await self.execute("UPDATE payments SET expires_at = now() - interval '1 s' WHERE id = $1", payment.id)

    async def invoiced(self, **order: Any) -> Payment:
        """Return a new payment with a live invoice."""
        payment = await self.order(**order)
        await self.invoice()
        return await self.payment(payment.order_id)

    async def callback(self, payment: Payment, status: str = "PAID", **fields: Any) -> Outcome:
        """Apply a callback about a payment that Xendit confirms, and return what came of it."""
        callback = self.about(payment, status, **fields)
        self.xendit.agree(callback)
        outcome = await self.receive(callback)
        if outcome is not Outcome.CONFIRMING:
            return outcome
        await self.confirm()
        sql = "SELECT outcome FROM payment_callbacks WHERE invoice_id = $1 AND external_id = $2 AND status = $3"
        rows = await self.rows(f"{sql} ORDER BY id DESC", callback.invoice_id, callback.external_id, callback.status)
        return Outcome(rows[0]["outcome"])

    def about(self, payment: Payment, status: str = "PAID", **fields: Any) -> Callback:
        """Return a callback about a payment."""
        callback = Callback(payment.invoice_id or "", payment.external_id, status, payment.amount, None, "IDR")
        return replace(callback, **fields)

    async def payment(self, order_id: int) -> Payment:
        payment = await payments.by_order(self.db, order_id)
        assert payment is not None
        return payment

    async def rows(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        async with self.db.driver() as connection:
            return [dict(row) for row in await connection.fetch(sql, *arguments)]

    async def execute(self, sql: str, *arguments: object) -> None:
        async with self.db.driver() as connection:
            await connection.execute(sql, *arguments)

    async def events(self, order_id: int) -> list[dict[str, Any]]:
        """Return the payloads in the outbox about an order, oldest first."""
        sql = "SELECT payload::text AS p FROM outbox WHERE key = $1 ORDER BY id"
        return [json.loads(row["p"]) for row in await self.rows(sql, f"order-{order_id}")]

    async def audits(self, order_id: int) -> list[str]:
        """Return the audit events about an order, oldest first."""
        rows = await self.rows("SELECT event FROM audit_outbox WHERE order_id = $1 ORDER BY id", order_id)
        return [row["event"] for row in rows]

    async def anomalies(self, order_id: int) -> list[str]:
        """Return the kinds of the anomalies of an order, oldest first."""
        sql = "SELECT kind FROM payment_anomalies WHERE external_id = $1 ORDER BY id"
        return [row["kind"] for row in await self.rows(sql, f"order-{order_id}")]

    async def request(self, order_id: int) -> dict[str, Any]:
        return (await self.rows("SELECT * FROM payment_requests WHERE order_id = $1", order_id))[0]


def message(topic: str, order_id: int) -> Message:
    return Message(topic, 0, 0, f"order-{order_id}", b"{}", {"traceparent": TRACE}, str(uuid4()))


async def drain(
    claim: Callable[[int], Awaitable[Sequence[T]]], work: Callable[[T], Awaitable[object]], slots: int = SLOTS
) -> int:
    """Work on everything that is due now, and return the number of items."""
    count = 0
    while items := await claim(slots):
        await asyncio.gather(*(work(item) for item in items))
        count += len(items)
    return count


def bearer(settings: Settings, user_id: int, role: str = "user") -> dict[str, str]:
    token = encode_token(settings.jwt_secret, user_id=user_id, email="u@example.com", role=role)
    return {"authorization": f"Bearer {token}"}

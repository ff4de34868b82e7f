"""The work on refunds of one service, as the tests run it."""

import asyncio
from decimal import Decimal
from typing import Any

from paymentfc.model.payment import Payment
from paymentfc.model.refund import Refund, RefundCallback
from paymentfc.repository.audit import Admin
from paymentfc.usecase.approve_refund import approve_refund
from paymentfc.usecase.receive_refund_callback import receive_refund_callback
from paymentfc.usecase.send_refunds import SendRefunds

from .bench import Bench, drain
from .fake_refunds import FakeRefunds

ROW = "SELECT status, failure_code, attempts, gateway_id FROM refunds WHERE id = $1"
ENTRIES = "SELECT event FROM audit_outbox WHERE event LIKE 'refund.%' AND order_id = $1 ORDER BY id"
ADMIN = Admin(9, "127.0.0.1")


class Counter:
    """The refunds of one service, with short ways to run the loop over them."""

    def __init__(self, bench: Bench, gateway: FakeRefunds, **settings: Any) -> None:
        self.bench, self.gateway = bench, gateway
        changed = bench.settings.model_copy(update={"refund_poll_interval_s": 60, **settings})
        self.sending = SendRefunds(bench.db, gateway, changed)

    async def due(self) -> int:
        """Make a late payment and return the id of its refund, which is due."""
        payment = await self.bench.invoiced()
        await self.bench.callback(payment, "EXPIRED")
        await self.bench.callback(payment)
        return await self.of(payment)

    async def of(self, payment: Payment) -> int:
        [row] = await self.bench.rows("SELECT id FROM refunds WHERE order_id = $1", payment.order_id)
        return int(row["id"])

    async def approve(self, refund_id: int) -> Refund:
        return await approve_refund(self.bench.db, asyncio.Event(), ADMIN, refund_id)

    async def approved(self) -> int:
        refund_id = await self.due()
        await self.approve(refund_id)
        return refund_id

    async def work(self) -> int:
        """Send and look at what is due now."""
        return await drain(self.sending.claim, self.sending.send)

    async def work_later(self) -> int:
        """Do so as if every lease and every wait were over."""
        await self.bench.execute("UPDATE refunds SET due_at = now()")
        return await self.work()

    async def row(self, refund_id: int) -> dict[str, Any]:
        [row] = await self.bench.rows(ROW, refund_id)
        return row

    async def status(self, refund_id: int) -> str:
        return str((await self.row(refund_id))["status"])

    async def entries(self, refund_id: int) -> list[str]:
        """Return the audit events of the refund, without their prefix."""
        [row] = await self.bench.rows("SELECT order_id FROM refunds WHERE id = $1", refund_id)
        return [row["event"].removeprefix("refund.") for row in await self.bench.rows(ENTRIES, row["order_id"])]

    async def told(self, refund_id: int, status: str = "SUCCEEDED", **fields: Any) -> bool:
        """Receive a callback about the refund."""
        given = {"gateway_id": "rfd-1", "reference": f"refund-{refund_id}", "currency": "IDR"} | fields
        callback = RefundCallback(status=status, amount=Decimal(150_000), **given)
        return await receive_refund_callback(self.bench.db, callback, "{}", None)

"""How orders are made to wait for each step on a running stack, and how the cause goes away."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from console.model.steps import Step
from fc.demo.shop import Customer, Shop
from fc.ops.connections import database
from fc.platform.sources import Sources
from fc.stack.local import Stack
from tests.kit import processes
from tests.kit.back_office import BackOffice
from tests.kit.bus import Bus
from tests.ops.conftest import Run, lines


@dataclass(frozen=True)
class World:
    """What a cause needs of the stack; `payer` is a customer of this test alone."""

    stack: Stack
    shop: Shop
    back_office: BackOffice
    bus: Bus
    sources: Sources
    client: httpx2.AsyncClient
    fc: Run
    payer: Customer

    async def placed(self) -> int:
        return await self.payer.checkout(await self.back_office.product(3), 1)

    async def unpaid(self) -> tuple[int, str]:
        """Place an order, wait for its invoice, and return both ids."""
        order = await self.placed()
        return order, (await self.payer.invoice(order))["invoice_id"]

    async def payments(self, sql: str, order: int) -> None:
        """Change rows of paymentfc's database about an order."""
        async with database("paymentfc", self.sources.databases["paymentfc"]) as connection:
            await connection.execute(sql, order)

    async def pay(self, invoice_id: str, **body: Any) -> None:
        """Pay an invoice in a way that the pay page does not offer to customers."""
        url = f"{self.stack.layout.url('xendit')}/_sim/invoices/{invoice_id}/pay"
        (await self.client.post(url, json=body)).raise_for_status()

    def brokers(self) -> list[str]:
        return [broker.name for broker in self.stack.programs.brokers]


@asynccontextmanager
async def customer(world: World) -> AsyncIterator[int]:
    order, invoice = await world.unpaid()
    yield order
    await world.shop.pay(invoice)


@asynccontextmanager
async def invoice(world: World) -> AsyncIterator[int]:
    async with world.back_office.faults({"create_status": 503}):
        order = await world.placed()
        yield order
    await world.shop.pay((await world.payer.invoice(order))["invoice_id"])


@asynccontextmanager
async def callback(world: World) -> AsyncIterator[int]:
    order, invoice_id = await world.unpaid()
    async with world.back_office.faults({"get_status": 503}):
        await world.shop.pay(invoice_id)
        yield order


@asynccontextmanager
async def anomaly(world: World) -> AsyncIterator[int]:
    order, invoice_id = await world.unpaid()
    await world.pay(invoice_id, amount=1_000)
    yield order


@asynccontextmanager
async def closing(world: World) -> AsyncIterator[int]:
    order, _ = await world.unpaid()
    async with world.back_office.faults({"expire_status": 503}):
        await world.payer.cancel(order)
        yield order


@asynccontextmanager
async def expiry(world: World) -> AsyncIterator[int]:
    order, invoice_id = await world.unpaid()
    async with world.back_office.faults({"get_status": 503, "expired_webhooks": False}):
        await world.shop.expire(invoice_id)
        await world.payments("UPDATE payments SET expires_at = now() - interval '5 s' WHERE order_id = $1", order)
        yield order
    await world.payments("UPDATE payments SET sweep_after = NULL WHERE order_id = $1", order)


@asynccontextmanager
async def dead_letter(world: World) -> AsyncIterator[int]:
    order, invoice_id = await world.unpaid()
    await world.bus.raw("payment.success", f"order-{order}".encode(), b"{broken")
    yield order
    letters = lines(await world.fc("dlq", "ls", "--json"))
    [place] = [letter["place"] for letter in letters if letter["order_id"] == order]
    assert not (await world.fc("dlq", "discard", "payment.success", place, "--reason", "a test", "--yes")).exit_code
    await world.shop.pay(invoice_id)


@asynccontextmanager
async def unknown(world: World) -> AsyncIterator[int]:
    order, invoice_id = await world.unpaid()
    await world.payments("UPDATE payments SET status = 'PAID', paid_at = now() WHERE order_id = $1", order)
    yield order
    await world.payments("UPDATE payments SET status = 'PENDING', paid_at = NULL WHERE order_id = $1", order)
    await world.shop.pay(invoice_id)


@asynccontextmanager
async def stock(world: World) -> AsyncIterator[int]:
    order, invoice_id = await world.unpaid()
    async with processes.stopped(world.stack, "productfc"):
        await world.shop.expire(invoice_id)
        yield order


@asynccontextmanager
async def payment(world: World) -> AsyncIterator[int]:
    product = await world.back_office.product(3)
    async with processes.stopped(world.stack, "paymentfc"):
        order = await world.payer.checkout(product, 1)
        yield order
    await world.shop.pay((await world.payer.invoice(order))["invoice_id"])


@asynccontextmanager
async def result(world: World) -> AsyncIterator[int]:
    order, invoice_id = await world.unpaid()
    async with processes.stopped(world.stack, "orderfc"):
        await world.shop.pay(invoice_id)
        yield order


@asynccontextmanager
async def outbox(world: World) -> AsyncIterator[int]:
    async with processes.stopped(world.stack, *world.brokers()):
        order = await world.placed()
        yield order
    await world.shop.pay((await world.payer.invoice(order))["invoice_id"])


Cause = Callable[[World], AbstractAsyncContextManager[int]]

CAUSES: Mapping[Step, tuple[Cause, str]] = {
    Step.CUSTOMER: (customer, "the customer has not paid"),
    Step.INVOICE: (invoice, "no invoice yet"),
    Step.WEBHOOK: (callback, "a callback is not confirmed"),
    Step.ANOMALY: (anomaly, "amount_mismatch"),
    Step.CLOSING: (closing, "the invoice of a finished order is not expired at Xendit yet"),
    Step.EXPIRY: (expiry, "the invoice has ended and Xendit has not reported the result"),
    Step.DEAD_LETTER: (dead_letter, "payment.success could not be applied by orderfc"),
    Step.UNKNOWN: (unknown, "the payment is PAID and orderfc has not applied it"),
    Step.STOCK: (stock, "stock.rollback was published and productfc has not applied it"),
    Step.PAYMENT: (payment, "order.created was published and paymentfc has not applied it"),
    Step.RESULT: (result, "payment.success was published and orderfc has not applied it"),
    Step.OUTBOX: (outbox, "order.created is in the outbox of orderfc"),
}
"""All but refunds, to which the anomaly leads."""

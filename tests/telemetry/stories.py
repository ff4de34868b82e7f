"""Six stories that have all edges of traces, on whatever platform `Scene` describes."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2

from chassis.kafka.topics import dlq
from fc.demo.shop import Customer, Shop, poll
from fc.ops.connections import database
from fc.ops.kafka_records import KafkaRecords
from fc.platform.sources import Sources
from tests.kit.back_office import BackOffice

ADDRESS = "Jalan Merdeka 1, Jakarta"
# An open invoice is asked about at once, or not before its time is over.
ASKED = {"SCHEDULER_STATUS_MIN_AGE_S": "0.2", "SCHEDULER_STATUS_INTERVAL_S": "0.5"}
SWEPT = {"INVOICE_DURATION_S": "2", "SCHEDULER_EXPIRY_INTERVAL_S": "0.5"}


@dataclass
class Scene:
    """The platform of the stories: `paymentfc` runs that service with other settings, `without_redis` stops Redis.

    `replay` has an operator replay a dead letter, by topic and PARTITION:OFFSET.
    """

    urls: Mapping[str, str]
    shop: Shop
    back_office: BackOffice
    client: httpx2.AsyncClient
    sources: Sources
    paymentfc: Callable[[Mapping[str, str]], AbstractAsyncContextManager[object]]
    without_redis: Callable[[], AbstractAsyncContextManager[object]]
    replay: Callable[[str, str], Awaitable[object]]


@dataclass
class Told:
    """What a story has left: its traces, the ids of the spans in which it called, and texts that no span may hold."""

    traces: list[str] = field(default_factory=list)
    callers: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)

    def header(self) -> dict[str, str]:
        """Return the header of a new trace."""
        self.traces.append(secrets.token_hex(16))
        self.callers.append(secrets.token_hex(8))
        return {"traceparent": f"00-{self.traces[-1]}-{self.callers[-1]}-01"}

    async def customer(self, scene: Scene) -> Customer:
        """Register a customer, all of whose requests are in one trace."""
        customer = await scene.shop.newcomer()
        self.secrets += [customer.headers["Authorization"].removeprefix("Bearer "), ADDRESS]
        customer.headers |= self.header()
        return customer


async def paid(scene: Scene, told: Told) -> None:
    """An order is paid. Its checkout is sent again, in a trace of its own."""
    payer = await told.customer(scene)
    product, key = await scene.back_office.product(stock=3), uuid4().hex
    order = await payer.checkout(product, 1, key)
    await scene.shop.pay((await payer.invoice(order))["invoice_id"])
    await payer.wait_status(order, "completed")
    payer.headers |= told.header()
    assert await payer.checkout(product, 1, key) == order, "the same key is the same order"


async def unpaid(scene: Scene, told: Told) -> None:
    """An invoice expires, another one is refused for good, and one order is cancelled by its customer: all end so."""
    payer, product = await told.customer(scene), await scene.back_office.product(stock=3)
    order = await payer.checkout(product, 1)
    await scene.shop.expire((await payer.invoice(order))["invoice_id"])
    await payer.wait_status(order, "cancelled")
    async with scene.back_office.faults({"create_status": {"status": 400}}):
        await payer.wait_status(await payer.checkout(product, 1), "cancelled", 40)
    order = await payer.checkout(product, 1)
    await payer.invoice(order)
    url = f"{scene.urls['orderfc']}/v1/orders/{order}/cancel"
    answer = await scene.client.post(url, headers=payer.headers, json={"reason": f"call {payer.name}@example.com"})
    answer.raise_for_status()
    await scene.back_office.wait_stock(product, 3)


async def rejected(scene: Scene, told: Told) -> None:
    """Two orders want the last unit before it is taken: one is rejected, and its invoice closed."""
    product = await scene.back_office.product(stock=1)
    payer = await told.customer(scene)
    async with database("productfc", scene.sources.databases["productfc"]) as session, session.transaction():
        await session.execute("SELECT 1 FROM products WHERE id = $1 FOR NO KEY UPDATE", product["id"])
        orders = [await payer.checkout(product, 1) for _ in range(2)]
        for order in orders:
            await payer.invoice(order)

    async def closed() -> bool:
        return "FAILED" in [(await payer.payment(order)).get("status") for order in orders]

    await poll(closed, "the payment of the rejected order is closed")


async def unheard(scene: Scene, told: Told) -> None:
    """No callback arrives: one order is found paid by the status check, another one is swept when its time is over."""
    payer, product = await told.customer(scene), await scene.back_office.product(stock=3)
    async with scene.back_office.faults({"drop_webhooks": True, "expired_webhooks": False}):
        async with scene.paymentfc(ASKED):
            order = await payer.checkout(product, 1)
            await scene.shop.pay((await payer.invoice(order))["invoice_id"])
            await payer.wait_status(order, "completed")
        async with scene.paymentfc(SWEPT):
            await payer.wait_status(await payer.checkout(product, 1), "cancelled", 40)
            await scene.back_office.wait_stock(product, 2)


async def refunded(scene: Scene, told: Told) -> None:
    """An order is paid after its end, and an administrator has the money given back."""
    payer, product = await told.customer(scene), await scene.back_office.product(stock=3)
    order = await payer.checkout(product, 1)
    invoice_id = (await payer.invoice(order))["invoice_id"]
    await scene.shop.expire(invoice_id)
    await payer.wait_status(order, "cancelled")
    await scene.shop.pay_late(invoice_id)
    await scene.shop.approve((await scene.shop.refund_of(order))["id"])
    await payer.wait_refund(order, "SUCCEEDED")


async def broken(scene: Scene, told: Told) -> None:
    """Without Redis userfc is asked about tokens. A message that can't be applied is a dead letter, and replayed."""
    payer = await told.customer(scene)
    product = await scene.back_office.product(stock=3)
    order = await payer.checkout(product, 1)
    await payer.invoice(order)
    payer.headers |= told.header()
    async with scene.without_redis():
        calls = [
            ("GET", f"{scene.urls['orderfc']}/v1/orders/{order}"),
            ("GET", f"{scene.urls['paymentfc']}/v1/payments/{order}"),
            ("POST", f"{scene.urls['productfc']}/v1/products"),
        ]
        for method, url in calls:
            answer = await scene.client.request(
                method, url, headers=payer.headers, json={} if method == "POST" else None
            )
            assert answer.status_code < 500, f"{url} answers {answer.status_code}"
    await _poisoned(scene, told, scene.back_office.foreign_order_id())


async def _poisoned(scene: Scene, told: Told, order: int) -> None:
    topic, headers = "payment.failed", told.header()
    sent = [(name, value.encode()) for name, value in headers.items()]
    async with KafkaRecords.opened(scene.sources.kafka) as kafka:
        await kafka.send(topic, f"order-{order}".encode(), b'{"email": "mallory@example.com"', sent)
        letter = await poll(lambda: _letter(kafka, topic, order, 1), f"dead letter of order {order}", 30, 0.2)
        await scene.replay(topic, f"{letter.partition}:{letter.offset}")
        await poll(lambda: _letter(kafka, topic, order, 2), f"second dead letter of order {order}", 30, 0.2)


async def _letter(kafka: KafkaRecords, topic: str, order: int, number: int) -> Any | None:
    letters = [letter for letter in await kafka.read(dlq(topic)) if letter.key == f"order-{order}".encode()]
    return letters[number - 1] if len(letters) >= number else None


TOLD: dict[str, Callable[[Scene, Told], Awaitable[None]]] = {
    "paid": paid,
    "unpaid": unpaid,
    "rejected": rejected,
    "unheard": unheard,
    "refunded": refunded,
    "broken": broken,
}

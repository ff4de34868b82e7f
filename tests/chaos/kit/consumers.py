"""What the consumers have done: the inbox, the state of each service, and an order that is completed exactly once."""

from typing import Any
from uuid import UUID

from chassis.events import identity
from contracts.topics import CONSUMERS
from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.stock import ledger
from tests.kit.bus import PublishedEvent

CONSUMING = ("productfc", "orderfc", "paymentfc")
STATE = {
    "productfc": (
        "SELECT id, stock FROM products ORDER BY id",
        "SELECT order_id, product_id, quantity, state FROM stock_ledger ORDER BY 1, 2",
        "SELECT count(*) FROM outbox",
    ),
    "orderfc": (
        "SELECT id, status, total_amount FROM orders ORDER BY id",
        "SELECT order_id, status, cause FROM order_history ORDER BY order_id, id",
        "SELECT count(*) FROM outbox",
    ),
    "paymentfc": (
        "SELECT order_id, status, amount, invoice_id, reason FROM payments ORDER BY order_id",
        "SELECT count(*) FROM payment_requests",
        "SELECT count(*) FROM payment_anomalies",
        "SELECT count(*) FROM outbox",
    ),
}
"""What a repeated event must not change, by service."""


async def service_states(arena: Arena) -> dict[str, list[list[tuple[Any, ...]]]]:
    """Read the results of STATE, by service."""
    return {
        service: [[tuple(row) for row in await arena.sql(service, statement)] for statement in statements]
        for service, statements in STATE.items()
    }


async def event_of(arena: Arena, order: int, topic: str) -> PublishedEvent:
    """Wait until an order's event is on its topic."""

    async def published() -> PublishedEvent | None:
        key = f"order-{order}".encode()
        return next((event for event in await arena.bus.read(topic) if event.key == key), None)

    found = await poll(published, f"{topic} of order {order}", 30, 0.05)
    assert isinstance(found, PublishedEvent)
    return found


def event_id(event: PublishedEvent) -> UUID:
    return UUID(dict(event.headers)["ce_id"].decode())


async def inbox_counts(arena: Arena, event: PublishedEvent) -> dict[str, int]:
    """Count the inbox rows of an event, by consumer."""
    sql = "SELECT count(*) FROM inbox WHERE consumer = $1 AND event_id = $2"
    headers = {name: value.decode() for name, value in event.headers}
    key = identity(headers.get("ce_source", ""), event.topic, headers["ce_id"])
    return {service: int((await arena.sql(service, sql, service, key))[0][0]) for service in CONSUMERS[event.topic]}


async def assert_completed_once(
    arena: Arena, product: dict[str, Any], order: int, *, quantity: int, stock: int | None = None
) -> None:
    """Wait until a paid order of one product is completed; check that each of its events took effect exactly once."""
    await arena.alice.wait_status(order, "completed", 40)
    if stock is not None:
        await arena.back_office.wait_stock(product, stock)
    assert await ledger(arena, order) == {product["id"]: (quantity, "TAKEN")}
    assert await arena.history(order) == ["created", "completed"]
    assert await arena.shop.invoices(order) == 1
    for topic in ("order.created", "stock.updated", "payment.success"):
        assert set((await inbox_counts(arena, await event_of(arena, order, topic))).values()) == {1}

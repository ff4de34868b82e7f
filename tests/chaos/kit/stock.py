"""Hands for the tests of stock: baskets, the ledger, rows that somebody else holds, money that comes late."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import httpx2

from fc.demo.shop import Customer, poll
from tests.chaos.kit.arena import Arena

LOCKED = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'productfc' AND wait_event_type = 'Lock'"


async def ask(
    arena: Arena, lines: Sequence[Any], who: Customer | None = None, *,
    url: str | None = None, client: httpx2.AsyncClient | None = None,
) -> httpx2.Response:  # fmt: skip
    """Ask for an order of several products, (product, quantity) each or lines as they are sent, and give the answer."""
    items = [{"product_id": line[0]["id"], "quantity": line[1]} if isinstance(line, tuple) else line for line in lines]
    return await (client or arena.client).post(
        f"{url or arena.stack.layout.url('orderfc')}/v1/orders/checkout",
        headers=(who or arena.alice).headers | {"Idempotency-Key": uuid4().hex},
        json={"items": items, "payment_method": "BANK_TRANSFER", "shipping_address": "Jalan Merdeka 1, Jakarta"},
    )


async def order(arena: Arena, *lines: tuple[dict[str, Any], int], who: Customer | None = None) -> int:
    """Order several products, again while it is put off, and give the order's number. Raises HTTPStatusError else."""

    async def placed() -> int | None:
        answer = await ask(arena, lines, who)
        if answer.status_code == 503:
            return None
        answer.raise_for_status()
        return int(answer.json()["order_id"])

    return int(await poll(placed, "the order is placed", 40, 0.1))


async def change(arena: Arena, product: dict[str, Any], **fields: Any) -> httpx2.Response:
    """Change a product as an administrator; no field at all takes it off sale."""
    admin = (await arena.shop.login("admin")).headers
    url = f"{arena.stack.layout.url('productfc')}/v1/products/{product['id']}"
    if not fields:
        return await arena.client.delete(url, headers=admin)
    return await arena.client.put(url, headers=admin, json=fields)


async def stock_of(arena: Arena, product: dict[str, Any]) -> int:
    """Read the free stock from the database: also of what is no longer on sale."""
    rows = await arena.sql("productfc", "SELECT stock FROM products WHERE id = $1", product["id"])
    return int(rows[0]["stock"])


async def ledger(arena: Arena, number: int) -> dict[int, str]:
    """Give what the stock ledger says of an order: product id -> state."""
    rows = await arena.sql("productfc", "SELECT product_id, state FROM stock_ledger WHERE order_id = $1", number)
    return {int(row["product_id"]): str(row["state"]) for row in rows}


async def wait_ledger(arena: Arena, number: int, state: str, lines: int = 1) -> None:
    """Wait until the ledger has so many lines of an order, all in one state."""

    async def reached() -> bool:
        return list((await ledger(arena, number)).values()) == [state] * lines

    await poll(reached, f"the ledger says {state} of order {number}", 40, 0.02)


@asynccontextmanager
async def held(arena: Arena, *products: dict[str, Any]) -> AsyncIterator[asyncpg.Connection]:
    """Keep everybody from changing products for the block, so that what is to meet there meets.

    A statement of productfc waits for a row at most 5 s, and comes again.
    """
    connection = await arena.stack.programs.postgres.connect("productfc")
    try:
        async with connection.transaction():
            ids = [product["id"] for product in products]
            await connection.execute(
                "SELECT 1 FROM products WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE", ids
            )
            yield connection
    finally:
        await connection.close()
    arena.healed()


async def waiting(connection: asyncpg.Connection, count: int = 1) -> None:
    """Wait until so many of productfc's statements wait for a lock."""

    async def reached() -> bool:
        return bool(await connection.fetchval(LOCKED) >= count)

    await poll(reached, f"{count} statements of productfc wait for a lock", 10, 0.02)


async def pay_late(arena: Arena, invoice: dict[str, Any]) -> None:
    """Have money come for an invoice that has expired."""
    url = f"{arena.stack.layout.url('xendit')}/_sim/invoices/{invoice['invoice_id']}/pay"
    (await arena.client.post(url, json={"after_expiry": True})).raise_for_status()


async def refunds(arena: Arena, number: int) -> list[str]:
    """Give the kinds of the anomalies that an administrator sees of an order."""
    admin = (await arena.shop.login("admin")).headers
    url = f"{arena.stack.layout.url('paymentfc')}/v1/payments/anomalies"
    answer = await arena.client.get(url, headers=admin, params={"page_size": 100})
    answer.raise_for_status()
    return [item["kind"] for item in answer.json()["items"] if item["order_id"] == number]


async def count_events(arena: Arena, number: int) -> dict[str, int]:
    """Count what the services have published of an order, by topic: from their outboxes, not from the topics."""
    found: dict[str, int] = {}
    for service in ("orderfc", "productfc", "paymentfc"):
        rows = await arena.sql(
            service, "SELECT topic, count(*) AS n FROM outbox WHERE key = $1 GROUP BY 1", f"order-{number}"
        )
        found |= {str(row["topic"]): int(row["n"]) for row in rows}
    return found

"""Hands for the tests of payments: callbacks in Xendit's place, what paymentfc wrote down, and orders kept locked."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx2
import orjson

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.stock import count_events
from tests.kit.stacks import secret_of

PAID_ORDER = {"order.created": 1, "stock.updated": 1, "payment.success": 1}
UNPAID_ORDER = {"order.created": 1, "stock.updated": 1, "payment.failed": 1, "stock.rollback": 1}
LATE_ORDER = PAID_ORDER | UNPAID_ORDER
SILENT = {"drop_webhooks": True}
"""What the services publish of an order that is paid, not paid, or paid too late; and the loss of all callbacks."""
WEBHOOK = "/v1/payments/xendit/webhook"
_WAITING = """
FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
  AND database = (SELECT oid FROM pg_database WHERE datname = 'paymentfc')
"""


def token(arena: Arena) -> str:
    """Give the token that Xendit's callbacks carry."""
    return secret_of(arena.stack, "paymentfc", "xendit_webhook_token")


async def provider(arena: Arena, path: str, body: dict[str, Any] | None = None) -> Any:
    """Do something at the simulator's control API: POST with a body (an empty one counts), else GET."""
    url = f"{arena.stack.layout.url('xendit')}/_sim/{path}"
    answer = await (arena.client.get(url) if body is None else arena.client.post(url, json=body))
    answer.raise_for_status()
    return answer.json()


async def make_invoice(arena: Arena, order: int, amount: int) -> str:
    """Make an invoice of an order at Xendit past paymentfc, and give its id."""
    key = secret_of(arena.stack, "paymentfc", "xendit_secret_api_key")
    url = f"{arena.stack.layout.url('xendit')}/v2/invoices"
    body = {"external_id": f"order-{order}", "amount": amount, "currency": "IDR"}
    answer = await arena.client.post(url, auth=(key, ""), json=body)
    answer.raise_for_status()
    return str(answer.json()["id"])


async def asked(arena: Arena, call: str = "POST /v2/invoices") -> int:
    """Count the calls of one kind that Xendit has had."""
    return int((await provider(arena, "stats"))["requests"].get(call, 0))


async def at_xendit(arena: Arena, order: int) -> list[dict[str, Any]]:
    """Give every invoice that Xendit ever made for an order."""
    return list(await provider(arena, f"invoices?external_id=order-{order}"))


async def deliveries(arena: Arena, invoice_id: str) -> list[dict[str, Any]]:
    """Give every try to deliver a callback of an invoice, oldest first."""
    return list(await provider(arena, f"deliveries?invoice_id={invoice_id}"))


async def said(arena: Arena, invoice_id: str) -> dict[str, Any]:
    """Wait for the last callback of an invoice, lost or not, and give its body."""

    async def there() -> Any:
        return (await deliveries(arena, invoice_id))[-1:]

    [delivery] = await poll(there, f"a callback of invoice {invoice_id}")
    return dict(delivery["body"])


async def tell(
    arena: Arena, body: dict[str, Any] | bytes, *, url: str | None = None, given: bytes | None = None,
    client: httpx2.AsyncClient | None = None,
) -> httpx2.Response:  # fmt: skip
    """Post a callback, with the right token unless another is given (empty counts)."""
    right = token(arena).encode() if given is None else given
    headers = [(b"x-callback-token", right), (b"content-type", b"application/json")]
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return await (client or arena.client).post(
        f"{url or arena.stack.layout.url('paymentfc')}{WEBHOOK}", headers=headers, content=content
    )


async def unwatched(arena: Arena, *orders: int) -> None:
    """Keep the check of open invoices away from orders: what a test shows must not be that check's work."""
    sql = "UPDATE payments SET check_after = now() + interval '1 hour' WHERE order_id = ANY($1::bigint[])"
    await arena.sql("paymentfc", sql, list(orders))


async def billed(arena: Arena, order: int) -> dict[str, Any]:
    """Wait for an order's invoice, keep the check of open invoices away from it, and give the payment."""
    payment = await arena.invoice(order)
    await unwatched(arena, order)
    return payment


async def payment_row(arena: Arena, order: int) -> asyncpg.Record:
    """Read an order's payment as it is stored."""
    [row] = await arena.sql("paymentfc", "SELECT * FROM payments WHERE order_id = $1", order)
    return row


async def request_row(arena: Arena, order: int) -> asyncpg.Record:
    """Read the request for an order's invoice."""
    [row] = await arena.sql("paymentfc", "SELECT * FROM payment_requests WHERE order_id = $1", order)
    return row


async def requests_of(arena: Arena, orders: Sequence[int]) -> list[asyncpg.Record]:
    """Read the requests for the invoices of several orders that are listed so far."""
    return await arena.sql("paymentfc", "SELECT * FROM payment_requests WHERE order_id = ANY($1::bigint[])", orders)


@asynccontextmanager
async def requests_held(arena: Arena, orders: Sequence[int]) -> AsyncIterator[None]:
    """Keep schedulers from claiming the requests of orders for the block, so that they start on them at once."""
    connection = await arena.stack.programs.postgres.connect("paymentfc")
    try:
        async with connection.transaction():
            sql = "SELECT 1 FROM payment_requests WHERE order_id = ANY($1::bigint[]) FOR UPDATE"
            await connection.execute(sql, orders)
            yield
    finally:
        await connection.close()


async def callbacks(arena: Arena, order: int) -> list[tuple[str, str, int]]:
    """Give (status, outcome, deliveries) of each distinct callback of an order, in the order of arrival."""
    sql = "SELECT status, outcome, deliveries FROM payment_callbacks WHERE external_id = $1 ORDER BY id"
    return [tuple(row) for row in await arena.sql("paymentfc", sql, f"order-{order}")]


async def anomalies(arena: Arena, order: int) -> list[tuple[str, str, str]]:
    """Give (kind, expected, received) of what a person has to look at, in the order of recording."""
    sql = "SELECT kind, expected, received FROM payment_anomalies WHERE external_id = $1 ORDER BY id"
    return [tuple(row) for row in await arena.sql("paymentfc", sql, f"order-{order}")]


@asynccontextmanager
async def kept(arena: Arena, order: int) -> AsyncIterator[asyncpg.Connection]:
    """Keep everybody in paymentfc from working on an order for the block; a statement waits for it at most 5 s."""
    connection = await arena.stack.programs.postgres.connect("paymentfc")
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"order-{order}")
            yield connection
    finally:
        await connection.close()
    arena.healed()


async def blocked(connection: asyncpg.Connection, count: int = 1) -> None:
    """Wait until so many of paymentfc's transactions wait for their order."""

    async def reached() -> bool:
        return bool(await connection.fetchval(f"SELECT count(*) {_WAITING}") >= count)

    await poll(reached, f"{count} transactions of paymentfc wait for an order", 10, 0.02)


async def cut_off(connection: asyncpg.Connection) -> None:
    """End the database connections of those who wait for their order."""
    await connection.execute(f"SELECT pg_terminate_backend(pid) {_WAITING}")


def head(arena: Arena, body: bytes) -> bytes:
    """Write the head of a callback's request as it goes over the wire."""
    return (
        f"POST {WEBHOOK} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"x-callback-token: {token(arena)}\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()


async def connected(arena: Arena, data: bytes) -> asyncio.StreamWriter:
    """Connect to paymentfc and write some bytes; the caller hangs up."""
    _, writer = await asyncio.open_connection("127.0.0.1", arena.stack.layout.port("paymentfc"))
    writer.write(data)
    await writer.drain()
    return writer


async def paid_in_silence(arena: Arena) -> tuple[int, dict[str, Any]]:
    """Have an order paid at Xendit whose callback is lost; give the order and that callback's body."""
    _, order = await arena.placed()
    invoice = await billed(arena, order)
    async with arena.back_office.faults(SILENT):
        await arena.shop.pay(invoice["invoice_id"])
        return order, await said(arena, invoice["invoice_id"])


async def paid_once(arena: Arena, order: int) -> None:
    """See that an order whose money came is completed by one event."""
    await arena.alice.wait_status(order, "completed", 40)
    assert await arena.history(order) == ["created", "completed"]
    assert await count_events(arena, order) == PAID_ORDER

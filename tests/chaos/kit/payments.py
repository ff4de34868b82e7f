"""Payments: callbacks sent in place of Xendit, the simulator's control API, and what paymentfc has stored."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import httpx2
import orjson

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.outboxes import event_counts
from tests.kit.stacks import secret_of

PAID_ORDER = {"order.created": 1, "stock.updated": 1, "payment.success": 1}
UNPAID_ORDER = {"order.created": 1, "stock.updated": 1, "payment.failed": 1, "stock.rollback": 1}
LATE_ORDER = PAID_ORDER | UNPAID_ORDER
NO_CALLBACKS = {"drop_webhooks": True}
"""The events of an order that is paid, not paid, or paid too late; the switch that loses all callbacks."""
WEBHOOK = "/v1/payments/xendit/webhook"
LEASE_S = 30
"""The time, by the platform's clock, after which a callback or a refund is taken from a worker that failed or died."""


def callback_token(arena: Arena) -> str:
    return secret_of(arena.stack, "paymentfc", "xendit_webhook_token")


async def control_api(arena: Arena, path: str, body: dict[str, Any] | None = None) -> Any:
    """Call the simulator's control API: POST with a body, which may be empty, else GET."""
    url = f"{arena.stack.layout.url('xendit')}/_sim/{path}"
    answer = await (arena.client.get(url) if body is None else arena.client.post(url, json=body))
    answer.raise_for_status()
    return answer.json()


async def make_invoice(arena: Arena, order: int, amount: int) -> str:
    """Make an invoice of an order at Xendit without paymentfc and return its id."""
    key = secret_of(arena.stack, "paymentfc", "xendit_secret_api_key")
    url = f"{arena.stack.layout.url('xendit')}/v2/invoices"
    body = {"external_id": f"order-{order}", "amount": amount, "currency": "IDR"}
    answer = await arena.client.post(url, auth=(key, ""), json=body)
    answer.raise_for_status()
    return str(answer.json()["id"])


async def xendit_calls(arena: Arena, call: str = "POST /v2/invoices") -> int:
    """Count the calls of one kind at the simulator."""
    return int((await control_api(arena, "stats"))["requests"].get(call, 0))


async def xendit_invoices(arena: Arena, order: int) -> list[dict[str, Any]]:
    """Return all invoices of an order at Xendit."""
    return list(await control_api(arena, f"invoices?external_id=order-{order}"))


async def deliveries(arena: Arena, invoice_id: str) -> list[dict[str, Any]]:
    """Return the attempts to deliver callbacks of an invoice, oldest first."""
    return list(await control_api(arena, f"deliveries?invoice_id={invoice_id}"))


async def last_callback(arena: Arena, invoice_id: str) -> dict[str, Any]:
    """Wait for a callback of an invoice, delivered or lost, and return the body of the last."""

    async def there() -> Any:
        return (await deliveries(arena, invoice_id))[-1:]

    [delivery] = await poll(there, f"a callback of invoice {invoice_id}")
    return dict(delivery["body"])


async def post_callback(
    arena: Arena,
    body: dict[str, Any] | bytes,
    *,
    url: str | None = None,
    given: bytes | None = None,
    client: httpx2.AsyncClient | None = None,
) -> httpx2.Response:
    """Post a callback; `given` replaces the right token and may be empty."""
    right = callback_token(arena).encode() if given is None else given
    headers = [(b"x-callback-token", right), (b"content-type", b"application/json")]
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return await (client or arena.client).post(
        f"{url or arena.stack.layout.url('paymentfc')}{WEBHOOK}", headers=headers, content=content
    )


async def postpone_check(arena: Arena, *orders: int) -> None:
    """Postpone the check of open invoices for orders, so that it does not decide what a test is about."""
    sql = "UPDATE payments SET check_after = now() + interval '1 hour' WHERE order_id = ANY($1::bigint[])"
    await arena.sql("paymentfc", sql, list(orders))


async def postpone_other_checks(arena: Arena, order: int) -> None:
    """Postpone the checks of the open invoices that earlier tests have left."""
    sql = "UPDATE payments SET check_after = now() + interval '1 hour' WHERE order_id <> $1 AND status = 'PENDING'"
    await arena.sql("paymentfc", sql, order)


async def unchecked_invoice(arena: Arena, order: int) -> dict[str, Any]:
    """Wait for an order's invoice, postpone its check, and return the payment."""
    payment = await arena.invoice(order)
    await postpone_check(arena, order)
    return payment


async def payment_row(arena: Arena, order: int) -> asyncpg.Record:
    [row] = await arena.sql("paymentfc", "SELECT * FROM payments WHERE order_id = $1", order)
    return row


async def request_row(arena: Arena, order: int) -> asyncpg.Record:
    [row] = await arena.sql("paymentfc", "SELECT * FROM payment_requests WHERE order_id = $1", order)
    return row


async def end_lease(arena: Arena, order: int) -> None:
    """End the lease on a request whose worker was killed. It ends 30 s after its claim, whatever `fc clock` says."""
    lease = "lease_until BETWEEN statement_timestamp() AND statement_timestamp() + interval '30 seconds'"
    sql = f"UPDATE payment_requests SET lease_until = statement_timestamp() WHERE order_id = $1 AND {lease} RETURNING 1"
    assert await arena.sql("paymentfc", sql, order), "the request has no lease, or one that is too long"


async def requests_of(arena: Arena, orders: Sequence[int]) -> list[asyncpg.Record]:
    """Return the stored requests for the invoices of orders; some may be missing."""
    return await arena.sql("paymentfc", "SELECT * FROM payment_requests WHERE order_id = ANY($1::bigint[])", orders)


async def retried(arena: Arena, order: int, times: int = 1) -> bool:
    """Whether so many tries to make the invoice of an order have failed."""
    return any(row["retry_count"] >= times for row in await requests_of(arena, [order]))


async def callbacks(arena: Arena, order: int) -> list[tuple[str, str, int]]:
    """Return (status, outcome, deliveries) of each distinct callback of an order, in the order of arrival."""
    sql = "SELECT status, outcome, deliveries FROM payment_callbacks WHERE external_id = $1 ORDER BY id"
    return [tuple(row) for row in await arena.sql("paymentfc", sql, f"order-{order}")]


async def anomalies(arena: Arena, order: int) -> list[tuple[str, str, str]]:
    """Return (kind, expected, received) of the anomalies of an order, in the order of recording."""
    sql = "SELECT kind, expected, received FROM payment_anomalies WHERE external_id = $1 ORDER BY id"
    return [tuple(row) for row in await arena.sql("paymentfc", sql, f"order-{order}")]


def callback_head(arena: Arena, body: bytes) -> bytes:
    """Return the head of a callback's HTTP request as bytes."""
    return (
        f"POST {WEBHOOK} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"x-callback-token: {callback_token(arena)}\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()


async def send_raw(arena: Arena, data: bytes) -> asyncio.StreamWriter:
    """Connect to paymentfc and send bytes; the caller closes the connection."""
    _, writer = await asyncio.open_connection("127.0.0.1", arena.stack.layout.port("paymentfc"))
    writer.write(data)
    await writer.drain()
    return writer


async def paid_without_callback(arena: Arena) -> tuple[int, dict[str, Any]]:
    """Pay an order at Xendit while its callback is lost. Returns the order and the body of that callback."""
    _, order = await arena.placed()
    invoice = await unchecked_invoice(arena, order)
    async with arena.back_office.faults(NO_CALLBACKS):
        await arena.shop.pay(invoice["invoice_id"])
        return order, await last_callback(arena, invoice["invoice_id"])


async def assert_paid_once(arena: Arena, order: int) -> None:
    """Wait until an order is completed and check that one event did it."""
    await arena.alice.wait_status(order, "completed", 40)
    assert await arena.history(order) == ["created", "completed"]
    assert await event_counts(arena, order) == PAID_ORDER


async def pay_late(arena: Arena, invoice: dict[str, Any]) -> None:
    """Pay an invoice that has expired."""
    url = f"{arena.stack.layout.url('xendit')}/_sim/invoices/{invoice['invoice_id']}/pay"
    (await arena.client.post(url, json={"after_expiry": True})).raise_for_status()


async def anomaly_kinds(arena: Arena, number: int) -> list[str]:
    """Return the kinds of the anomalies that an administrator sees of an order."""
    admin = (await arena.shop.login("admin")).headers
    url = f"{arena.stack.layout.url('paymentfc')}/v1/payments/anomalies"
    answer = await arena.client.get(url, headers=admin, params={"page_size": 100})
    answer.raise_for_status()
    return [item["kind"] for item in answer.json()["items"] if item["order_id"] == number]

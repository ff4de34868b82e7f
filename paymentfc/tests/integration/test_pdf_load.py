"""Downloads of invoices beside callbacks: the drawing takes another process, and callbacks are answered meanwhile."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from chassis.db.database import Database

from .bench import bearer
from .stack import TOKEN, Stack, started

CUSTOMERS = 20
INVOICES = 60
# Other tests publish orders to the same broker, and the service registers their payments.
FIRST = 10_000_001
LINES = 10
# Before drawing had a process of its own: 983 ms.
MEDIAN_S = 0.25
# A hundred callbacks a second.
PAUSE_S = 0.01
MEMORY_BYTES = 300 << 20
NAME = "".join(islice(cycle("aжא山홍न"), 60))
_INSERT = """
INSERT INTO payments (order_id, user_id, external_id, amount, currency, payment_method, shipping_address, lines,
                      invoice_id, invoice_url, invoice_time, expires_at)
SELECT n, 3, 'order-' || n, 150000, 'IDR', 'BANK', $1, $2::jsonb, 'inv-' || n, 'http://x', now(), now() + '1 day'
FROM generate_series($3::bigint, $4) AS n
"""


@pytest.fixture(scope="module")
async def stack(
    make_database: Callable[[str], Awaitable[dict[str, Any]]],
    kafka_broker: str,
    mongo_uri: str,
    redis_server: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stack]:
    """One running service, with an invoice for each of INVOICES orders."""
    servers = {**redis_server, "kafka_broker": kafka_broker, "mongo_uri": mongo_uri}
    folder: Path = tmp_path_factory.mktemp("paymentfc")
    async with started({**await make_database("paymentfc"), **servers}, folder) as stack:
        db = Database(stack.settings)
        lines = ",".join(f'{{"product_id":{n},"quantity":1,"name":"{NAME}","price":5000}}' for n in range(1, LINES + 1))
        async with db.driver() as connection:
            await connection.execute(_INSERT, NAME, f"[{lines}]", FIRST, FIRST + INVOICES - 1)
        await db.close()
        yield stack


async def download(stack: Stack, orders: AsyncIterator[int]) -> None:
    async for order_id in orders:
        url, headers = f"/v1/payments/invoice/{order_id}/pdf", bearer(stack.settings, 3)
        answer = await stack.http.get(url, headers=headers, timeout=60)
        assert answer.status_code == 200
        assert answer.content.startswith(b"%PDF")


async def callback(stack: Stack) -> float:
    """Send a callback about an unknown order, and return the time of its answer in seconds."""
    body = {"id": "x", "external_id": "order-999999", "status": "PAID", "amount": 1, "currency": "IDR"}
    before = time.monotonic()
    answer = await stack.http.post("/v1/payments/xendit/webhook", json=body, headers={"x-callback-token": TOKEN})
    assert answer.status_code == 200
    return time.monotonic() - before


async def test_callbacks_are_answered_while_twenty_customers_download_invoices(stack: Stack) -> None:
    async def each() -> AsyncIterator[int]:
        while left:
            yield left.pop()

    left = list(range(FIRST, FIRST + INVOICES))
    downloads = asyncio.gather(*(download(stack, each()) for _ in range(CUSTOMERS)))
    times = []
    while not downloads.done():
        times.append(await callback(stack))
        await asyncio.sleep(PAUSE_S)
    await downloads
    assert statistics.median(times) < MEDIAN_S


async def test_the_service_and_its_drawing_process_stay_within_their_memory(stack: Stack) -> None:
    async with httpx2.AsyncClient(base_url=str(stack.http.base_url)) as http:
        answer = await http.get(f"/v1/payments/invoice/{FIRST}/pdf", headers=bearer(stack.settings, 3))
        assert answer.status_code == 200
    (service,) = [process for process in psutil.process_iter(["cmdline"]) if _serves(process, stack.settings.http_port)]
    family = [service, *service.children(recursive=True)]
    assert len(family) == 2
    used = sum(process.memory_full_info().pss for process in family)
    assert used < MEMORY_BYTES


def _serves(process: psutil.Process, port: int) -> bool:
    try:
        return process.environ().get("HTTP_PORT") == str(port) and "paymentfc" in process.cmdline()
    except psutil.Error:
        return False

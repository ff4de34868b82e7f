"""The route of the PDF: who gets it, when it exists, and what is kept of it."""

import asyncio
import subprocess

import httpx2
import pytest
from fastapi import FastAPI

from paymentfc.config import Settings
from paymentfc.pdf.drawings import Drawings

from .bench import Bench, bearer


def read(pdf: bytes) -> str:
    """Return the text that poppler reads."""
    done = subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True)
    return done.stdout.decode()


async def test_the_owner_and_an_administrator_get_it_in_every_status_and_nobody_else(
    http: httpx2.AsyncClient, bench: Bench, settings: Settings
) -> None:
    payment = await bench.invoiced()
    url = f"/v1/payments/invoice/{payment.order_id}/pdf"
    for status in ("PENDING", "PAID"):
        for headers in (bearer(settings, 3), bearer(settings, 9, "admin")):
            answer = await http.get(url, headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
            expected = f'attachment; filename="invoice_{payment.order_id}.pdf"'
            assert answer.headers["content-disposition"] == expected
            text = read(answer.content)
            assert status in text
            assert "User" in text
            assert "user3@example.com" in text
            assert f"INV-{payment.order_id:06d}" in text
            assert "Rp 150.000" in text
        await bench.callback(payment)
    assert (await http.get(url, headers=bearer(settings, 4))).status_code == 404
    assert (await http.get(url)).status_code == 401


async def test_before_the_first_invoice_and_for_an_unknown_order_it_is_404(
    http: httpx2.AsyncClient, bench: Bench, settings: Settings
) -> None:
    payment = await bench.order()
    for order_id in (payment.order_id, 999_999_999):
        answer = await http.get(f"/v1/payments/invoice/{order_id}/pdf", headers=bearer(settings, 3))
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await http.get("/v1/payments/invoice/x/pdf", headers=bearer(settings, 3))).status_code == 400


async def test_without_userfc_the_invoice_names_the_customer_by_number(
    http: httpx2.AsyncClient, bench: Bench, settings: Settings
) -> None:
    payment = await bench.invoiced()
    bench.users.away = True
    answer = await http.get(f"/v1/payments/invoice/{payment.order_id}/pdf", headers=bearer(settings, 3))
    assert answer.status_code == 200
    assert "Customer 3" in read(answer.content)


async def test_an_invoice_without_the_customers_name_is_not_kept(
    http: httpx2.AsyncClient, bench: Bench, settings: Settings
) -> None:
    payment = await bench.invoiced()
    url, headers = f"/v1/payments/invoice/{payment.order_id}/pdf", bearer(settings, 3)
    bench.users.away = True
    assert "Customer 3" in read((await http.get(url, headers=headers)).content)
    bench.users.away = False
    assert "Customer 3" not in read((await http.get(url, headers=headers)).content)


class Stuck:
    """Draws nothing until `free` is set."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.free = asyncio.Event()

    async def draw(self, _contents: bytes) -> bytes:
        self.asked.set()
        await self.free.wait()
        return b"%PDF-made"

    async def close(self) -> None:
        self.free.set()


@pytest.fixture
def stuck(app: FastAPI) -> Stuck:
    """The application draws with this, one invoice at a time."""
    stuck = Stuck()
    app.state.drawings = Drawings(stuck, max_queue=1, max_wait_s=60, cache_bytes=1)
    return stuck


async def test_beyond_the_queue_a_download_is_503_and_an_invoice_that_is_being_drawn_is_waited_for(
    http: httpx2.AsyncClient, bench: Bench, settings: Settings, stuck: Stuck
) -> None:
    first, second = await bench.invoiced(), await bench.invoiced()
    headers = bearer(settings, 3)

    async def download(order_id: int) -> httpx2.Response:
        return await http.get(f"/v1/payments/invoice/{order_id}/pdf", headers=headers)

    waiting = [asyncio.create_task(download(first.order_id)) for _ in range(5)]
    await stuck.asked.wait()
    refused = await download(second.order_id)
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    stuck.free.set()
    assert [(await each).content for each in waiting] == [b"%PDF-made"] * 5

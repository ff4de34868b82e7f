"""The invoice as a PDF: access rules, when it exists, and its contents."""

import re
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from paymentfc.config import Settings
from paymentfc.model.document import InvoiceDocument, InvoiceLine
from paymentfc.model.payment import Status
from paymentfc.pdf.document import draw
from paymentfc.pdf.elements import money

from .bench import Bench, bearer

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)


def read(pdf: bytes) -> str:
    """Return the text that poppler reads."""
    done = subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True)
    return done.stdout.decode()


def document(**fields: Any) -> InvoiceDocument:
    sound: dict[str, Any] = {
        "order_id": 7,
        "status": Status.PENDING,
        "currency": "IDR",
        "total": Decimal(90_000),
        "lines": [InvoiceLine("Ceramic Mug", 2, Decimal(45_000))],
        "customer": "Alice",
        "email": "alice@example.com",
        "address": "Jalan Merdeka 1, Jakarta",
        "payment_method": "BANK_TRANSFER",
        "invoice_id": "6748105a77f16ebe0cc583a7",
        "issued": NOW,
        "due": NOW + timedelta(days=1),
        "paid": None,
    }
    return InvoiceDocument(**{**sound, **fields})


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


def test_lines_amounts_and_dates_are_on_the_paper() -> None:
    lines = [InvoiceLine("Ceramic Mug", 2, Decimal(45_000)), InvoiceLine("Desk Lamp", 1, Decimal(275_000))]
    text = re.sub(r" +", " ", read(draw(document(lines=lines, total=Decimal(365_000)))))
    assert "Ceramic Mug 2 Rp 45.000 Rp 90.000" in text
    assert "Desk Lamp 1 Rp 275.000 Rp 275.000" in text
    assert "TOTAL, IDR Rp 365.000" in text
    assert "25 November 2026, 03:00 UTC" in text
    assert "26 November 2026, 03:00 UTC" in text
    assert "Page 1 of 1" in text


def test_a_hundred_lines_go_over_pages_with_the_heading_on_each_and_the_total_on_the_last() -> None:
    lines = [InvoiceLine(f"Thing number {number}", 1, Decimal(10)) for number in range(100)]
    pages = read(draw(document(lines=lines, total=Decimal(1000)))).split("\f")[:-1]
    assert len(pages) > 1
    assert all("ITEM" in page and f"Page {number} of {len(pages)}" in page for number, page in enumerate(pages, 1))
    assert all(f"Thing number {number}" in "".join(pages) for number in range(100))
    assert ["TOTAL" in page for page in pages] == [False] * (len(pages) - 1) + [True]


@pytest.mark.parametrize("name", ["Nguyễn Văn Đạt", "Żółć Ελλάδα", "Привет", "<b>&amp;</b> 100%", 'O\'Neil "x"'])
def test_names_are_shown_as_they_are(name: str) -> None:
    line = InvoiceLine(name, 1, Decimal(90_000))
    text = read(draw(document(customer=name, lines=[line])))
    assert text.count(name) == 2


def test_what_no_font_can_show_does_not_stop_the_invoice() -> None:
    assert "before � after" in read(draw(document(customer="before \U0001f600 after")))
    assert draw(document(customer="山田太郎 홍길동")).startswith(b"%PDF")


def test_long_names_and_addresses_are_wrapped_and_nothing_is_lost() -> None:
    text = read(draw(document(customer="W" * 255, address="Jalan " * 160 + "Z" * 40)))
    assert text.count("W") >= 255
    assert text.count("Jalan") == 160
    assert text.count("Z") >= 40


def test_the_same_invoice_gives_the_same_bytes() -> None:
    assert draw(document()) == draw(document())


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [("150000", "IDR", "Rp 150.000"), ("9999999999", "IDR", "Rp 9.999.999.999"), ("1234.5", "USD", "USD 1,234.50")],
)
def test_money_is_written_as_people_do(amount: str, currency: str, shown: str) -> None:
    assert money(Decimal(amount), currency) == shown

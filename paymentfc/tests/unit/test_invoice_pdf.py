"""What an invoice's PDF shows, and that every text that the contract allows can be drawn."""

import random
import re
import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymentfc.model.document import InvoiceLine
from paymentfc.pdf import texts
from paymentfc.pdf.contents import money
from testkit.properties import examples

from .drawing import MARGIN, WIDTH, boxes, draw, glyphs, read

NAME, ADDRESS, LINES = 255, 1000, 100
# On a busy machine; a process that draws is ended after PDF_TIMEOUT_S, 10 s.
MAX_S = 10.0
ALPHABETS = [
    "aä1 ",
    "Ж ",
    "مرحبا ",
    "שלום 1",
    "कष\u094dतिर",
    "ক\u09cdষ",
    "\u0b95\u0bca",
    "กรุ\u0e49",
    "山田 ",
    "ひカ",
    "홍ᄀ\u1161\u11a8",
    "😀\u200d👩🏽🇮🇩\ufe0f",
    "e\u0301\u0302",
    "\u202e\u202b\u2067\u2069a",
    "W",
    "\n\t \x0b\u2028",
    "\x01\x7f\u0085",
    "\u200b\u2060\ufeff\u00ad",
    "𓀀𐎀\U0010ffff\ue000",
    "﷽",
    "{}#$\\*_`<>&\"'/",
]
UNBROKEN = ["山", "क\u094d", "👨\u200d", "ᄀ", "e\u0301\u0302\u0303", "ب", "\u202e", "﷽", "𓀀"]


def test_lines_amounts_and_dates_are_on_the_paper() -> None:
    lines = [InvoiceLine("Ceramic Mug", 2, Decimal(45_000)), InvoiceLine("Desk Lamp", 1, Decimal(275_000))]
    text = re.sub(r" +", " ", read(draw(lines=lines, total=Decimal(365_000)), "-layout"))
    assert "Ceramic Mug 2 Rp 45.000 Rp 90.000" in text
    assert "Desk Lamp 1 Rp 275.000 Rp 275.000" in text
    assert "TOTAL, IDR Rp 365.000" in text
    assert "25 November 2026, 03:00 UTC" in text
    assert "26 November 2026, 03:00 UTC" in text
    assert "Page 1 of 1" in text


def test_a_hundred_lines_go_over_pages_with_the_heading_on_each_and_the_total_on_the_last() -> None:
    lines = [InvoiceLine(f"Thing number {number}", 1, Decimal(10)) for number in range(LINES)]
    pages = read(draw(lines=lines, total=Decimal(1000)), "-layout").split("\f")[:-1]
    assert len(pages) > 1
    assert all("ITEM" in page for page in pages if "Thing" in page)
    assert all(f"Page {number} of {len(pages)}" in page for number, page in enumerate(pages, 1))
    assert all(f"Thing number {number}" in "".join(pages) for number in range(LINES))
    assert ["TOTAL" in page for page in pages] == [False] * (len(pages) - 1) + [True]


@pytest.mark.parametrize(
    "name", ["Nguyễn Văn Đạt", "Żółć Ελλάδα", "Привет", "<b>&amp;</b> 100%", 'O\'Neil "x"', "#eval(1) $x$ *b* @a"]
)
def test_names_are_shown_as_they_are(name: str) -> None:
    line = InvoiceLine(name, 1, Decimal(90_000))
    assert read(draw(customer=name, lines=[line])).count(name) == 2


def test_an_address_keeps_its_lines() -> None:
    text = read(draw(address="Jalan Merdeka 1\r\nJakarta 10110\n\nIndonesia"))
    assert "Jalan Merdeka 1\nJakarta 10110\nIndonesia\n" in text


def test_long_names_and_addresses_are_wrapped_within_the_page_and_nothing_is_lost() -> None:
    lines = [InvoiceLine("W" * NAME, 1, Decimal(1))] * 3
    pdf = draw(customer="W" * NAME, address="Jalan " * 160 + "Z" * 40, email=f"{'m' * 243}@example.com", lines=lines)
    text = read(pdf)
    assert text.count("W") == 4 * NAME
    assert text.count("Jalan") == 160
    assert text.count("Z") == 40
    assert all(MARGIN - 1 < left < right < WIDTH - MARGIN + 1 for _, left, right in boxes(pdf))


@pytest.mark.parametrize("character", UNBROKEN)
def test_a_text_without_blanks_is_drawn_over_as_many_pages_as_it_needs(character: str) -> None:
    name, address = (character * ADDRESS)[:NAME], (character * ADDRESS)[:ADDRESS]
    pdf = draw(customer=name, address=address, lines=[InvoiceLine(name, 1, Decimal(1))] * LINES)
    assert all(right < WIDTH - MARGIN + 10 for _, _, right in boxes(pdf))


def test_a_hundred_names_of_mixed_scripts_are_drawn_in_time() -> None:
    dice = random.Random(1)
    letters = "".join(ALPHABETS)
    lines = [InvoiceLine("".join(dice.choices(letters, k=NAME)), 1, Decimal(1)) for _ in range(LINES)]
    before = time.monotonic()
    assert draw(lines=lines, customer=lines[0].name, address=lines[1].name * 3).startswith(b"%PDF")
    assert time.monotonic() - before < MAX_S


allowed = st.sampled_from(ALPHABETS).flatmap(lambda letters: st.text(st.sampled_from(letters), min_size=1))
anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@examples(100)
@given(st.lists(allowed | anything, min_size=1, max_size=8).map("".join), st.integers(1, ADDRESS))
def test_every_text_is_drawn_in_bounded_time(text: str, length: int) -> None:
    address = (text * length)[:length]
    name = address[:NAME]
    before = time.monotonic()
    pdf = draw(customer=name, address=address, payment_method=name[:64], lines=[InvoiceLine(name, 1, Decimal(1))])
    assert time.monotonic() - before < MAX_S
    assert glyphs(pdf)


def test_a_text_that_breaks_the_shaper_is_drawn_without_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "MAX_JOINED", 10_000)
    pdf = draw(customer="before", address="क\u094d" * 500)
    assert "before" in read(pdf)
    assert sum(font.startswith("NotoSansDevanagari") for font, _ in glyphs(pdf)) >= 1000
    monkeypatch.undo()
    assert "after" in read(draw(customer="after"))


def test_the_same_invoice_gives_the_same_bytes() -> None:
    assert draw() == draw()


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [("150000", "IDR", "Rp 150.000"), ("9999999999", "IDR", "Rp 9.999.999.999"), ("1234.5", "USD", "USD 1,234.50")],
)
def test_money_is_written_as_people_do(amount: str, currency: str, shown: str) -> None:
    assert money(Decimal(amount), currency) == shown

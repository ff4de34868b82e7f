"""An invoice to draw, and readers of what was drawn."""

import re
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

from pypdf import PdfReader
from pypdf.generic import ContentStream

from paymentfc.model.document import InvoiceDocument, InvoiceLine
from paymentfc.model.payment import Status
from paymentfc.pdf.contents import contents
from paymentfc.pdf.typesetting import typeset

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
# A4 and its margins, in points.
WIDTH, HEIGHT, MARGIN = 595.3, 841.9, 56.6


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


def draw(**fields: Any) -> bytes:
    return typeset(contents(document(**fields)))


def read(pdf: bytes, *options: str) -> str:
    """Return the text that poppler reads, without the places where a word may break."""
    done = subprocess.run(["pdftotext", *options, "-", "-"], input=pdf, capture_output=True, check=True)
    return done.stdout.decode().replace("\N{ZERO WIDTH SPACE}", "")


def boxes(pdf: bytes) -> list[tuple[str, float, float]]:
    """Return each word with its left and right edge in points; checks that no word is above or below its page."""
    pattern = r'<word xMin="(.+?)" yMin="(.+?)" xMax="(.+?)" yMax="(.+?)">(.*?)</word>'
    words = re.findall(pattern, read(pdf, "-bbox"))
    assert all(0 < float(top) < float(bottom) < HEIGHT for _, top, _, bottom, _ in words)
    return [(word, float(left), float(right)) for left, _, right, _, word in words]


def glyphs(pdf: bytes) -> list[tuple[str, int]]:
    """Return the fonts and glyph ids that the pages show, in the order of drawing; 0 is the box of a missing glyph."""
    shown: list[tuple[str, int]] = []
    reader = PdfReader(BytesIO(pdf))
    for page in reader.pages:
        fonts = page["/Resources"]["/Font"]  # type: ignore[index]  # pypdf's objects are dictionaries
        name = ""
        for operands, operator in ContentStream(page.get_contents(), reader).operations:
            if operator == b"Tf":
                name = str(fonts[operands[0]]["/BaseFont"]).partition("+")[2]
            elif operator in (b"Tj", b"TJ"):
                parts = operands[0] if operator == b"TJ" else operands
                for codes in (_bytes(part) for part in parts if isinstance(part, (bytes, str))):
                    shown += [(name, int.from_bytes(codes[at : at + 2], "big")) for at in range(0, len(codes), 2)]
    return shown


def _bytes(operand: Any) -> bytes:
    original = getattr(operand, "original_bytes", operand)
    return original if isinstance(original, bytes) else str(original).encode("latin-1")

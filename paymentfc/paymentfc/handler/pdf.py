"""The invoice as a PDF, drawn in memory: who owes what for which lines, until when, and whether it is paid."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor, white
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from chassis.money import places
from paymentfc.model import InvoiceDocument, InvoiceLine, Status

MERCHANT = "Go Commerce"
TEXT, BOLD = "NotoSans", "Helvetica-Bold"
# Readers bring these fonts themselves: they are named in the file and not part of it.
FAR_EAST = {"HYGothic-Medium": (0xAC00, 0xD7A3), "HeiseiKakuGo-W5": (0x2E80, 0x9FFF)}
INK, SOFT, LINE, SHADE = HexColor("#172033"), HexColor("#5b6579"), HexColor("#dfe4ee"), HexColor("#f4f6fb")
COLOURS = {
    Status.PENDING: HexColor("#b7791f"),
    Status.PAID: HexColor("#15803d"),
    Status.EXPIRED: HexColor("#b91c1c"),
    Status.FAILED: HexColor("#b91c1c"),
}
MARGIN = 20 * mm
WIDTH = A4[0] - 2 * MARGIN


async def render(invoice: InvoiceDocument) -> bytes:
    """Draw the invoice, in a thread: a hundred lines keep a core busy for some 40 ms."""
    return await asyncio.to_thread(draw, invoice)


def draw(invoice: InvoiceDocument) -> bytes:
    """Draw the invoice; the same invoice gives the same bytes."""
    _fonts()
    out = BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=22 * mm,
        title=f"Invoice {invoice.number}", author=MERCHANT, invariant=1,
    )  # fmt: skip
    story = [
        _head(invoice), Spacer(1, 8 * mm), _parties(invoice), Spacer(1, 8 * mm), _lines(invoice),
        KeepTogether([_total(invoice), Spacer(1, 8 * mm), _remark(invoice)]),
    ]  # fmt: skip
    document.build(story, canvasmaker=_Numbered)
    return out.getvalue()


def money(amount: Decimal, currency: str) -> str:
    """Write an amount as people do: `Rp 150.000` for rupiah, otherwise `USD 1,234.50`."""
    text = f"{amount:,.{places(currency)}f}"
    return f"Rp {text.replace(',', '.')}" if currency == "IDR" else f"{currency} {text}"


@cache
def _fonts() -> frozenset[int]:
    """Register the fonts once, and give the characters that the text font can show."""
    folder = files("fontpkg_noto_sans").joinpath("files")
    path = next(file for file in folder.iterdir() if "Italic" not in file.name)
    font = TTFont(TEXT, str(path))
    pdfmetrics.registerFont(font)
    for name in FAR_EAST:
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    return frozenset(font.face.charToGlyph)


def _font_of(character: str) -> str | None:
    code = ord(character)
    if code in _fonts():
        return TEXT
    return next((name for name, (first, last) in FAR_EAST.items() if first <= code <= last), None)


def _marked(text: str) -> str:
    """Write user text as markup that names the font of each run; what no font can show becomes a replacement mark."""
    parts: list[tuple[str, str]] = []
    for character in " ".join(text.split()):
        font = _font_of(character)
        shown = character if font else "\N{REPLACEMENT CHARACTER}"
        if parts and parts[-1][0] == (font or TEXT):
            parts[-1] = (parts[-1][0], parts[-1][1] + shown)
        else:
            parts.append((font or TEXT, shown))
    return "".join(f'<font name="{font}">{escape(run)}</font>' for font, run in parts)


def _style(size: float, colour: Any = INK, font: str = TEXT, **more: Any) -> ParagraphStyle:
    """Make a style; words longer than their column are broken, in any script."""
    return ParagraphStyle(
        "", fontName=font, fontSize=size, leading=size * 1.4, textColor=colour, splitLongWords=1, **more
    )


def _text(text: str, size: float = 9.5, colour: Any = INK, **more: Any) -> Paragraph:
    return Paragraph(_marked(text), _style(size, colour, **more))


def _label(text: str, size: float = 8, colour: Any = SOFT, **more: Any) -> Paragraph:
    """Make a label of ours, which is ASCII."""
    return Paragraph(text, _style(size, colour, BOLD, **more))


def _date(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%d %B %Y, %H:%M UTC") if moment else "-"


def _head(invoice: InvoiceDocument) -> Table:
    badge = Table([[_label(invoice.status.value, 9, white, alignment=1)]], colWidths=[28 * mm])
    badge.setStyle(
        TableStyle(
            [
                ("BACKGROUND", (0, 0), (-1, -1), COLOURS[invoice.status]),
                ("ROUNDEDCORNERS", [6, 6, 6, 6]),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
            ]
        )
    )
    badge.hAlign = "RIGHT"
    left = [_label(MERCHANT, 17, INK), Spacer(1, 2 * mm), _label(f"Invoice {invoice.number}", 10.5)]
    head = Table([[left, badge]], colWidths=[WIDTH - 40 * mm, 40 * mm])
    head.setStyle(
        _plain(
            ("ALIGN", (1, 0), (1, 0), "RIGHT"),
            ("LINEBELOW", (0, 0), (-1, -1), 1.2, INK),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 12),
        )
    )
    return head


def _parties(invoice: InvoiceDocument) -> Table:
    customer = [
        _label("BILL TO"),
        _text(invoice.customer, 11),
        _text(invoice.email, colour=SOFT),
        _text(invoice.address),
    ]
    facts = [("ISSUED", _date(invoice.issued)), ("DUE", _date(invoice.due))]
    if invoice.paid:
        facts.append(("PAID", _date(invoice.paid)))
    facts += [("ORDER", str(invoice.order_id)), ("METHOD", invoice.payment_method), ("REFERENCE", invoice.invoice_id)]
    rows = [[_label(name), _text(value, 8.5, alignment=TA_RIGHT)] for name, value in facts if value]
    right = Table(rows, colWidths=[24 * mm, 52 * mm], hAlign="RIGHT")
    right.setStyle(_plain(("TOPPADDING", (0, 0), (-1, -1), 1), ("BOTTOMPADDING", (0, 0), (-1, -1), 1)))
    both = Table([[customer, right]], colWidths=[WIDTH - 80 * mm, 80 * mm])
    both.setStyle(_plain(("ALIGN", (1, 0), (1, 0), "RIGHT")))
    return both


def _lines(invoice: InvoiceDocument) -> Table:
    rows: list[list[Any]] = [["ITEM", "QTY", "PRICE", "AMOUNT"]]
    rows += [list(_row(line, invoice.currency)) for line in invoice.lines]
    table = Table(rows, colWidths=[WIDTH - 88 * mm, 16 * mm, 36 * mm, 36 * mm], repeatRows=1)
    # Cells of ours are plain strings: a paragraph in each would cost four times as much for a hundred lines.
    table.setStyle(
        _plain(
            ("FONT", (0, 0), (-1, 0), BOLD, 8),
            ("TEXTCOLOR", (0, 0), (-1, 0), SOFT),
            ("BACKGROUND", (0, 0), (-1, 0), SHADE),
            ("FONT", (1, 1), (-1, -1), TEXT, 9.5),
            ("TEXTCOLOR", (1, 1), (-1, -1), INK),
            ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.5, LINE),
            *_padded(5),
        )
    )
    return table


def _row(line: InvoiceLine, currency: str) -> Iterator[Any]:
    yield _text(line.name)
    yield f"{line.quantity:,}"
    for amount in (line.price, None if line.price is None else line.price * line.quantity):
        yield "" if amount is None else money(amount, currency)


def _padded(points: int) -> list[tuple[Any, ...]]:
    return [(f"{side}PADDING", (0, 0), (-1, -1), points) for side in ("LEFT", "RIGHT", "TOP", "BOTTOM")]


def _total(invoice: InvoiceDocument) -> Table:
    amount = _label(money(invoice.total, invoice.currency), 13, INK, alignment=TA_RIGHT)
    table = Table([[_label(f"TOTAL, {invoice.currency}", 9), amount]], colWidths=[WIDTH - 66 * mm, 66 * mm])
    table.setStyle(
        _plain(
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"), *_padded(5),
        )
    )  # fmt: skip
    return table


def _remark(invoice: InvoiceDocument) -> Paragraph:
    remarks = {
        Status.PENDING: f"Please pay by {_date(invoice.due)}; the order is cancelled after that.",
        Status.PAID: "Paid in full. Thank you for your order.",
        Status.EXPIRED: "This invoice has expired and must not be paid any more.",
        Status.FAILED: "The order could not be served; this invoice must not be paid.",
    }
    return _text(remarks[invoice.status], 9, SOFT)


def _plain(*commands: tuple[Any, ...]) -> TableStyle:
    """Make a table style without padding or borders of its own, and the commands on top of it."""
    zero = [(side, (0, 0), (-1, -1), 0) for side in ("LEFTPADDING", "RIGHTPADDING", "TOPPADDING", "BOTTOMPADDING")]
    return TableStyle([*zero, ("VALIGN", (0, 0), (-1, -1), "TOP"), *commands])


class _Numbered(Canvas):  # type: ignore[misc]  # reportlab ships no types
    """Writes "page x of y", which is known only when all pages are drawn."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:
        """Keep the page until the number of pages is known."""
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        """Write all pages with their footers."""
        for number, page in enumerate(self._pages, 1):
            self.__dict__.update(page)
            self.setFont(BOLD, 7.5)
            self.setFillColor(SOFT)
            self.drawString(MARGIN, 12 * mm, MERCHANT)
            self.drawRightString(A4[0] - MARGIN, 12 * mm, f"Page {number} of {len(self._pages)}")
            Canvas.showPage(self)
        Canvas.save(self)

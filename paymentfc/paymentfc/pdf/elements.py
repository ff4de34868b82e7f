"""The elements that the sections of an invoice share: sizes, colours, paragraphs, tables, amounts and dates."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Paragraph, TableStyle

from chassis.money import places
from paymentfc.pdf.fonts import BOLD, TEXT, marked_up

MERCHANT = "Go Commerce"
INK, SOFT, LINE, SHADE = HexColor("#172033"), HexColor("#5b6579"), HexColor("#dfe4ee"), HexColor("#f4f6fb")
MARGIN = 20 * mm
WIDTH = A4[0] - 2 * MARGIN


def money(amount: Decimal, currency: str) -> str:
    """Write an amount for a reader: `Rp 150.000` for rupiah, otherwise `USD 1,234.50`."""
    text = f"{amount:,.{places(currency)}f}"
    return f"Rp {text.replace(',', '.')}" if currency == "IDR" else f"{currency} {text}"


def date(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%d %B %Y, %H:%M UTC") if moment else "-"


def text(content: str, size: float = 9.5, colour: Any = INK, **style: Any) -> Paragraph:
    """Make a paragraph of foreign text, in any script."""
    return Paragraph(marked_up(content), _style(size, colour, TEXT, **style))


def label(content: str, size: float = 8, colour: Any = SOFT, **style: Any) -> Paragraph:
    """Make a bold paragraph of our own text, which is ASCII and needs no markup."""
    return Paragraph(content, _style(size, colour, BOLD, **style))


def _style(size: float, colour: Any, font: str, **style: Any) -> ParagraphStyle:
    # splitLongWords: words longer than their column are broken, in any script.
    leading = size * 1.4
    return ParagraphStyle(
        "", fontName=font, fontSize=size, leading=leading, textColor=colour, splitLongWords=1, **style
    )


def table_style(*commands: tuple[Any, ...]) -> TableStyle:
    return TableStyle([*padding(0), ("VALIGN", (0, 0), (-1, -1), "TOP"), *commands])


def padding(points: int) -> list[tuple[Any, ...]]:
    return [(f"{side}PADDING", (0, 0), (-1, -1), points) for side in ("LEFT", "RIGHT", "TOP", "BOTTOM")]

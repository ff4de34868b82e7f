"""Puts the sections of an invoice on pages: customer, lines, total, due date and status."""

import asyncio
from io import BytesIO
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import KeepTogether, SimpleDocTemplate, Spacer

from paymentfc.model.document import InvoiceDocument
from paymentfc.pdf import sections
from paymentfc.pdf.elements import MARGIN, MERCHANT, SOFT
from paymentfc.pdf.fonts import BOLD, register_fonts

GAP = 8 * mm


async def render(invoice: InvoiceDocument) -> bytes:
    """Draw the invoice in a thread: a hundred lines keep a core busy for about 40 ms."""
    return await asyncio.to_thread(draw, invoice)


def draw(invoice: InvoiceDocument) -> bytes:
    """Draw the invoice; the same invoice gives the same bytes."""
    register_fonts()
    out = BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=22 * mm,
        title=f"Invoice {invoice.number}",
        author=MERCHANT,
        invariant=1,
    )
    story = [
        sections.header(invoice),
        Spacer(1, GAP),
        sections.parties(invoice),
        Spacer(1, GAP),
        sections.lines(invoice),
        KeepTogether([sections.total(invoice), Spacer(1, GAP), sections.remark(invoice)]),
    ]
    document.build(story, canvasmaker=_NumberedCanvas)
    return out.getvalue()


class _NumberedCanvas(Canvas):  # type: ignore[misc]  # reportlab ships no types
    """Writes "Page x of y" on each page. The number of pages is final only at the end, so pages are kept until then."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:  # reportlab calls it
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, page in enumerate(self._pages, 1):
            self.__dict__.update(page)
            self.setFont(BOLD, 7.5)
            self.setFillColor(SOFT)
            self.drawString(MARGIN, 12 * mm, MERCHANT)
            self.drawRightString(A4[0] - MARGIN, 12 * mm, f"Page {number} of {len(self._pages)}")
            Canvas.showPage(self)
        Canvas.save(self)

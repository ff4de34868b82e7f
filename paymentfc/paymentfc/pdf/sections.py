"""The sections of an invoice, from top to bottom."""

from typing import Any

from reportlab.lib.colors import HexColor, white
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.units import mm
from reportlab.platypus import Paragraph, Spacer, Table, TableStyle

from paymentfc.model.document import InvoiceDocument, InvoiceLine
from paymentfc.model.payment import Status
from paymentfc.pdf.elements import (
    INK,
    LINE,
    MERCHANT,
    SHADE,
    SOFT,
    WIDTH,
    date,
    label,
    money,
    padding,
    table_style,
    text,
)
from paymentfc.pdf.fonts import BOLD, TEXT

_RED = HexColor("#b91c1c")
COLOURS = {
    Status.PENDING: HexColor("#b7791f"),
    Status.PAID: HexColor("#15803d"),
    Status.EXPIRED: _RED,
    Status.FAILED: _RED,
}


def header(invoice: InvoiceDocument) -> Table:
    badge = Table([[label(invoice.status.value, 9, white, alignment=1)]], colWidths=[28 * mm])
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
    title = [label(MERCHANT, 17, INK), Spacer(1, 2 * mm), label(f"Invoice {invoice.number}", 10.5)]
    table = Table([[title, badge]], colWidths=[WIDTH - 40 * mm, 40 * mm])
    table.setStyle(
        table_style(
            ("ALIGN", (1, 0), (1, 0), "RIGHT"),
            ("LINEBELOW", (0, 0), (-1, -1), 1.2, INK),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 12),
        )
    )
    return table


def parties(invoice: InvoiceDocument) -> Table:
    customer = [
        label("BILL TO"),
        text(invoice.customer, 11),
        text(invoice.email, colour=SOFT),
        text(invoice.address),
    ]
    facts = [("ISSUED", date(invoice.issued)), ("DUE", date(invoice.due))]
    if invoice.paid:
        facts.append(("PAID", date(invoice.paid)))
    facts += [("ORDER", str(invoice.order_id)), ("METHOD", invoice.payment_method), ("REFERENCE", invoice.invoice_id)]
    rows = [[label(name), text(value, 8.5, alignment=TA_RIGHT)] for name, value in facts if value]
    right = Table(rows, colWidths=[24 * mm, 52 * mm], hAlign="RIGHT")
    right.setStyle(table_style(("TOPPADDING", (0, 0), (-1, -1), 1), ("BOTTOMPADDING", (0, 0), (-1, -1), 1)))
    table = Table([[customer, right]], colWidths=[WIDTH - 80 * mm, 80 * mm])
    table.setStyle(table_style(("ALIGN", (1, 0), (1, 0), "RIGHT")))
    return table


def lines(invoice: InvoiceDocument) -> Table:
    rows: list[list[Any]] = [["ITEM", "QTY", "PRICE", "AMOUNT"]]
    rows += [_row(line, invoice.currency) for line in invoice.lines]
    table = Table(rows, colWidths=[WIDTH - 88 * mm, 16 * mm, 36 * mm, 36 * mm], repeatRows=1)
    # Our own cells are plain strings: a paragraph in each would cost four times as much for a hundred lines.
    table.setStyle(
        table_style(
            ("FONT", (0, 0), (-1, 0), BOLD, 8),
            ("TEXTCOLOR", (0, 0), (-1, 0), SOFT),
            ("BACKGROUND", (0, 0), (-1, 0), SHADE),
            ("FONT", (1, 1), (-1, -1), TEXT, 9.5),
            ("TEXTCOLOR", (1, 1), (-1, -1), INK),
            ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.5, LINE),
            *padding(5),
        )
    )
    return table


def _row(line: InvoiceLine, currency: str) -> list[Any]:
    amounts = ["", ""] if line.price is None else [money(line.price * count, currency) for count in (1, line.quantity)]
    return [text(line.name), f"{line.quantity:,}", *amounts]


def total(invoice: InvoiceDocument) -> Table:
    amount = label(money(invoice.total, invoice.currency), 13, INK, alignment=TA_RIGHT)
    table = Table([[label(f"TOTAL, {invoice.currency}", 9), amount]], colWidths=[WIDTH - 66 * mm, 66 * mm])
    table.setStyle(table_style(("VALIGN", (0, 0), (-1, -1), "MIDDLE"), *padding(5)))
    return table


def remark(invoice: InvoiceDocument) -> Paragraph:
    remarks = {
        Status.PENDING: f"Please pay by {date(invoice.due)}; the order is cancelled after that.",
        Status.PAID: "Paid in full. Thank you for your order.",
        Status.EXPIRED: "This invoice has expired and must not be paid any more.",
        Status.FAILED: "The order could not be served; this invoice must not be paid.",
    }
    return text(remarks[invoice.status], 9, SOFT)

"""What an invoice says, as the JSON that `invoice.typ` reads: amounts and dates are written out for a reader."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from chassis.money import places
from paymentfc.model.document import InvoiceDocument, InvoiceLine
from paymentfc.model.payment import Status

MERCHANT = "Go Commerce"


def money(amount: Decimal, currency: str) -> str:
    """Write an amount for a reader: `Rp 150.000` for rupiah, otherwise `USD 1,234.50`."""
    text = f"{amount:,.{places(currency)}f}"
    return f"Rp {text.replace(',', '.')}" if currency == "IDR" else f"{currency} {text}"


def date(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%d %B %Y, %H:%M UTC") if moment else "-"


def contents(invoice: InvoiceDocument) -> bytes:
    """Return the invoice as JSON; the same invoice gives the same bytes."""
    return orjson.dumps(
        {
            "merchant": MERCHANT,
            "number": invoice.number,
            "status": invoice.status.value,
            "customer": invoice.customer,
            "email": invoice.email,
            "address": invoice.address,
            "facts": _facts(invoice),
            "lines": [_line(line, invoice.currency) for line in invoice.lines],
            "currency": invoice.currency,
            "total": money(invoice.total, invoice.currency),
            "remark": _remark(invoice),
        }
    )


def _facts(invoice: InvoiceDocument) -> list[tuple[str, str]]:
    facts = [("ISSUED", date(invoice.issued)), ("DUE", date(invoice.due))]
    if invoice.paid:
        facts.append(("PAID", date(invoice.paid)))
    facts += [("ORDER", str(invoice.order_id)), ("METHOD", invoice.payment_method), ("REFERENCE", invoice.invoice_id)]
    return [(name, value) for name, value in facts if value]


def _line(line: InvoiceLine, currency: str) -> dict[str, Any]:
    price, amount = ["" if line.price is None else money(line.price * count, currency) for count in (1, line.quantity)]
    return {"name": line.name, "quantity": f"{line.quantity:,}", "price": price, "amount": amount}


def _remark(invoice: InvoiceDocument) -> str:
    remarks = {
        Status.PENDING: f"Please pay by {date(invoice.due)}; the order is cancelled after that.",
        Status.PAID: "Paid in full. Thank you for your order.",
        Status.EXPIRED: "This invoice has expired and must not be paid any more.",
        Status.FAILED: "The order could not be served; this invoice must not be paid.",
    }
    return remarks[invoice.status]

"""The Xendit client with a function as its network, and an invoice and a draft to play with."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx2

from paymentfc.client.xendit import Draft, Xendit
from paymentfc.events import Line

INVOICE = {
    "id": "6748105a77f16ebe0cc583a7",
    "external_id": "order-7",
    "status": "PENDING",
    "amount": 150000,
    "currency": "IDR",
    "expiry_date": "2026-11-29T06:40:26.353Z",
    "created": "2026-11-28T06:40:26.508Z",
    "invoice_url": "https://x/web/1",
}

Answer = Callable[[httpx2.Request], httpx2.Response]


def client(answer: Answer, *, allow_http: bool = False) -> Xendit:
    """Return a client whose network is a function."""
    xendit = Xendit("https://api.xendit.co/", "xnd_key", allow_http=allow_http)
    xendit._client._transport = httpx2.MockTransport(answer)
    xendit._client._mounts = {}
    return xendit


def answering(status: int, **body: Any) -> Answer:
    return lambda _: httpx2.Response(status, **body)


def draft(lines: int = 1, amount: str = "150000.00", **change: Any) -> Draft:
    items = [Line(product_id=number + 1, name="Kopi", quantity=1, price=Decimal(1)) for number in range(lines)]
    fields = {
        "external_id": "order-7",
        "amount": Decimal(amount),
        "currency": "IDR",
        "duration_s": 86400,
        "payer_email": "a@example.com",
        "lines": items,
    }
    return Draft(**{**fields, **change})

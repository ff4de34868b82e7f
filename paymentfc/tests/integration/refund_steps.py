"""Steps that the tests of refunds share."""

from typing import Any
from uuid import uuid4

import httpx2

from paymentfc.model.payment import Payment

from .bench import Bench


async def ask(
    http: httpx2.AsyncClient, admin: dict[str, str], order_id: int, key: str = "", **body: Any
) -> httpx2.Response:
    """Request a refund, by default with a new key."""
    headers = admin | {"idempotency-key": key or uuid4().hex}
    return await http.post(f"/v1/payments/{order_id}/refund", headers=headers, json={"reason": "broken", **body})


async def paid(bench: Bench) -> Payment:
    payment = await bench.invoiced()
    await bench.callback(payment)
    return await bench.payment(payment.order_id)

"""One order from checkout to completed, by a customer who repeats what fails because a part of the platform is away."""

from typing import Any
from uuid import uuid4

import httpx2

from fc.demo.shop import Customer, Shop, poll

PATIENCE_S = 120
PAUSE_S = 0.1
AWAY = (httpx2.TransportError, httpx2.HTTPStatusError, KeyError)


async def order_through(shop: Shop, who: Customer, product: dict[str, Any]) -> int:
    """Order one piece, pay it and wait until it is completed; returns the order. Raises TimeoutError for each step."""
    order = await who.checkout_until_answered(product, 1, uuid4().hex)

    async def billed() -> str | None:
        try:
            payment = await who.payment(order)
        except AWAY:
            return None
        return str(payment["invoice_id"]) if payment.get("invoice_url") else None

    async def paid() -> bool:
        try:
            await shop.pay(invoice)
        except httpx2.TransportError:
            return False
        except httpx2.HTTPStatusError as refused:
            # The first try was taken, and its answer was lost.
            return bool(refused.response.status_code == 409)
        return True

    async def completed() -> bool:
        try:
            return bool((await who.order(order))["status"] == "completed")
        except AWAY:
            return False

    invoice = str(await poll(billed, f"an invoice for order {order}", PATIENCE_S, PAUSE_S))
    await poll(paid, f"the payment of order {order}", PATIENCE_S, PAUSE_S)
    await poll(completed, f"order {order} completed", PATIENCE_S, PAUSE_S)
    return order

"""Clients for the demo and the end-to-end tests: a customer, an operator and the payment provider, over real HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self
from uuid import uuid4

import httpx2

POLL_S = 0.004
# What takes long is asked for less often: after two seconds so often.
SLOW_POLL_S = 0.1
DEADLINE_S = 20
# Codes of refusals after which the same checkout may be sent again.
REPEATABLE = ("request_in_progress", "unavailable")


async def poll(
    read: Callable[[], Awaitable[Any]], what: str, deadline_s: float = DEADLINE_S, interval_s: float = POLL_S
) -> Any:
    """Call `read` until its answer is truthy and return that. Raises TimeoutError naming `what` after the deadline."""
    began = time.monotonic()
    while True:
        if answer := await read():
            return answer
        if (waited_s := time.monotonic() - began) > deadline_s:
            raise TimeoutError(f"{what}: not within {deadline_s:g} s")
        await asyncio.sleep(max(interval_s, min(waited_s / 20, SLOW_POLL_S)))


class Customer:
    """A logged-in customer."""

    def __init__(self, name: str, client: httpx2.AsyncClient, urls: dict[str, str], token: str) -> None:
        self.name = name
        self._client = client
        self._urls = urls
        self.headers = {"Authorization": f"Bearer {token}"}

    async def checkout(self, product: dict[str, Any], quantity: int, key: str | None = None) -> int:
        """Order one product and return the order id. Raises HTTPStatusError for a refusal."""
        answer = await self._client.post(
            f"{self._urls['orderfc']}/v1/orders/checkout",
            headers=self.headers | {"Idempotency-Key": key or uuid4().hex},
            json={
                "items": [{"product_id": product["id"], "quantity": quantity, "price": product["price"]}],
                "payment_method": "BANK_TRANSFER",
                "shipping_address": "Jalan Merdeka 1, Jakarta",
            },
        )
        answer.raise_for_status()
        return int(answer.json()["order_id"])

    async def checkout_until_answered(self, product: dict[str, Any], quantity: int, key: str) -> int:
        """Repeat a checkout with the same key until it is answered, as a client does when the connection breaks."""

        async def answered() -> int | None:
            try:
                return await self.checkout(product, quantity, key)
            except httpx2.TransportError:
                return None
            except httpx2.HTTPStatusError as refused:
                if refused.response.status_code in (409, 503) and refused.response.json()["code"] in REPEATABLE:
                    return None
                raise

        return int(await poll(answered, "an answer to the checkout", 60))

    async def order(self, order_id: int) -> dict[str, Any]:
        answer = await self._client.get(f"{self._urls['orderfc']}/v1/orders/{order_id}", headers=self.headers)
        answer.raise_for_status()
        return dict(answer.json())

    async def cancel(self, order_id: int) -> None:
        """Cancel an order. Raises HTTPStatusError for a refusal."""
        url = f"{self._urls['orderfc']}/v1/orders/{order_id}/cancel"
        (await self._client.post(url, headers=self.headers, json={"reason": "by mistake"})).raise_for_status()

    async def payment(self, order_id: int) -> dict[str, Any]:
        """Return the payment of an order; an empty dictionary before it exists."""
        answer = await self._client.get(f"{self._urls['paymentfc']}/v1/payments/{order_id}", headers=self.headers)
        if answer.status_code == 404:
            return {}
        answer.raise_for_status()
        return dict(answer.json())

    async def invoice(self, order_id: int) -> dict[str, Any]:
        """Wait until the payment has an invoice, and return the payment."""

        async def ready() -> dict[str, Any] | None:
            payment = await self.payment(order_id)
            return payment if payment.get("invoice_url") else None

        return dict(await poll(ready, f"invoice of order {order_id}"))

    async def wait_status(self, order_id: int, status: str, deadline_s: float = DEADLINE_S) -> None:

        async def reached() -> bool:
            return bool((await self.order(order_id))["status"] == status)

        await poll(reached, f"order {order_id} {status}", deadline_s)

    async def wait_payment(self, order_id: int, status: str) -> dict[str, Any]:
        """Wait until the payment of the order has this status, and return it."""

        async def reached() -> dict[str, Any] | None:
            payment = await self.payment(order_id)
            return payment if payment.get("status") == status else None

        return dict(await poll(reached, f"payment of order {order_id} {status}"))

    async def wait_refund(self, order_id: int, status: str) -> dict[str, Any]:
        """Wait until the payment of the order shows a refund of this status, and return that."""

        async def reached() -> dict[str, Any] | None:
            refund = (await self.payment(order_id)).get("refund") or {}
            return refund if refund.get("status") == status else None

        return dict(await poll(reached, f"refund of order {order_id} {status}"))


class Shop:
    """The operator's and the payment provider's side of the stories."""

    def __init__(self, client: httpx2.AsyncClient, urls: dict[str, str], accounts: dict[str, Any]) -> None:
        self._client = client
        self._urls = urls
        self._accounts = dict(accounts)

    @classmethod
    @asynccontextmanager
    async def opened(cls, urls: dict[str, str], accounts: dict[str, Any]) -> AsyncIterator[Self]:
        """Open a client for the stack at `urls` (userfc, productfc, orderfc, paymentfc, xendit).

        `accounts` maps a first name to (e-mail, password).
        """
        async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
            yield cls(client, urls, accounts)

    async def login(self, name: str) -> Customer:
        email, password = self._accounts[name]
        answer = await self._client.post(
            f"{self._urls['userfc']}/v1/login", json={"email": email, "password": password}
        )
        answer.raise_for_status()
        return Customer(name.capitalize(), self._client, self._urls, answer.json()["token"])

    async def newcomer(self) -> Customer:
        """Register a customer of no other story, whose checkouts of the last minute are none, and log in."""
        name, password = f"buyer-{uuid4().hex}", uuid4().hex
        self._accounts[name] = (f"{name}@example.com", password)
        body = {"name": name, "email": f"{name}@example.com", "password": password, "confirm_password": password}
        (await self._client.post(f"{self._urls['userfc']}/v1/register", json=body)).raise_for_status()
        return await self.login(name)

    async def product(self, name: str) -> dict[str, Any]:
        """Return the product of exactly this name, with its current stock. Raises RuntimeError without one."""
        answer = await self._client.get(f"{self._urls['productfc']}/v1/products/search", params={"name": name})
        answer.raise_for_status()
        matches = [item for item in answer.json()["products"] if item["name"] == name]
        if not matches:
            raise RuntimeError(f"no product is named {name!r}: run `fc seed`")
        return dict(matches[0])

    async def wait_stock(self, name: str, stock: int) -> None:

        async def reached() -> bool:
            return bool((await self.product(name))["stock"] == stock)

        await poll(reached, f"stock {stock} of {name}")

    async def set_stock(self, name: str, stock: int) -> None:
        admin, product = await self.login("admin"), await self.product(name)
        answer = await self._client.put(
            f"{self._urls['productfc']}/v1/products/{product['id']}", headers=admin.headers, json={"stock": stock}
        )
        answer.raise_for_status()

    async def _provider(self, invoice_id: str, action: str, body: dict[str, Any] | None = None) -> None:
        url = f"{self._urls['xendit']}/_sim/invoices/{invoice_id}/{action}"
        (await self._client.post(url, json=body or {})).raise_for_status()

    async def pay(self, invoice_id: str) -> None:
        await self._provider(invoice_id, "pay")

    async def pay_late(self, invoice_id: str) -> None:
        """Pay an invoice that has expired."""
        await self._provider(invoice_id, "pay", {"after_expiry": True})

    async def refund_of(self, order_id: int) -> dict[str, Any]:
        """Wait until an order has a refund, and return it as administrators see it."""
        admin = await self.login("admin")
        url = f"{self._urls['paymentfc']}/v1/payments/refunds?order_id={order_id}"

        async def listed() -> dict[str, Any] | None:
            answer = await self._client.get(url, headers=admin.headers)
            return next(iter(answer.raise_for_status().json()["items"]), None)

        return dict(await poll(listed, f"refund of order {order_id}"))

    async def approve(self, refund_id: int) -> None:
        """Have the provider give money back."""
        admin = await self.login("admin")
        url = f"{self._urls['paymentfc']}/v1/payments/refunds/{refund_id}/approve"
        (await self._client.post(url, headers=admin.headers)).raise_for_status()

    async def expire(self, invoice_id: str) -> None:
        await self._provider(invoice_id, "expire")

    async def resend(self, invoice_id: str, times: int) -> None:
        """Make the provider deliver its last webhook again."""
        await self._provider(invoice_id, "resend", {"times": times})

    async def deliveries(self, invoice_id: str, count: int) -> list[int]:
        """Wait for `count` webhook deliveries of an invoice and return the HTTP statuses of their answers."""

        async def answered() -> list[int] | None:
            answer = await self._client.get(
                f"{self._urls['xendit']}/_sim/deliveries", params={"invoice_id": invoice_id}
            )
            answer.raise_for_status()
            statuses = [item["status_code"] for item in answer.json() if item["status_code"]]
            return statuses if len(statuses) >= count else None

        return list(await poll(answered, f"{count} webhook deliveries"))

    async def invoices(self, order_id: int) -> int:
        """Count all invoices that the provider has for an order."""
        answer = await self._client.get(f"{self._urls['xendit']}/_sim/invoices")
        answer.raise_for_status()
        return sum(item["external_id"] == f"order-{order_id}" for item in answer.json())

    async def live_invoices(self, order_id: int) -> int:
        """Wait until no invoice of the order is PENDING at the provider; return how many are after 10 s."""

        async def pending() -> list[Any]:
            query = {"external_id": f"order-{order_id}", "status": "PENDING"}
            answer = await self._client.get(f"{self._urls['xendit']}/_sim/invoices", params=query)
            return list(answer.raise_for_status().json())

        async def none_left() -> bool:
            return not await pending()

        try:
            await poll(none_left, "the loser's invoice expires", 10)
        except TimeoutError:
            return len(await pending())
        return 0

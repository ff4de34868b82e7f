"""The platform as customers and the payment provider use it: public routes by the person's own token, the simulator."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx2

from console.client.admin_api import NoAnswer

TIMEOUT_S = 5.0
MAX_SENTENCE = 300


class Declined(Exception):
    """A service or the simulator has refused; the text says who and why."""


class Shop:
    """Orders and pays. Each call raises Declined and NoAnswer."""

    def __init__(self, http: httpx2.AsyncClient, urls: Mapping[str, str], token: str) -> None:
        self._http = http
        self._urls = urls
        self._headers = {"Authorization": f"Bearer {token}"}

    async def products(self, limit: int) -> list[dict[str, Any]]:
        """List the newest products with id, name, price and stock."""
        found = await self._ask("productfc", "GET", "/v1/products/search", params={"page_size": limit, "sort": "desc"})
        return list(found["products"])

    async def product(self, product_id: int) -> dict[str, Any]:
        return dict(await self._ask("productfc", "GET", f"/v1/products/{product_id}"))

    async def set_stock(self, product_id: int, stock: int) -> None:
        await self._ask("productfc", "PUT", f"/v1/products/{product_id}", json={"stock": stock})

    async def checkout(self, product: Mapping[str, Any], quantity: int) -> int:
        """Order a product, and return the number of the order."""
        item = {"product_id": product["id"], "quantity": quantity, "price": product["price"]}
        body = {"items": [item], "payment_method": "BANK_TRANSFER", "shipping_address": "Jalan Merdeka 1, Jakarta"}
        key = {"Idempotency-Key": uuid4().hex}
        found = await self._ask("orderfc", "POST", "/v1/orders/checkout", json=body, headers=key)
        return int(found["order_id"])

    async def status(self, order_id: int) -> str:
        return str((await self._ask("orderfc", "GET", f"/v1/orders/{order_id}"))["status"])

    async def payment(self, order_id: int) -> dict[str, Any]:
        """Return the payment of an order; an empty one before paymentfc knows it."""
        return dict(await self._ask("paymentfc", "GET", f"/v1/payments/{order_id}", absent={}))

    async def provider(self, invoice_id: str, action: str, body: Mapping[str, Any]) -> None:
        """Have the simulator's customer or Xendit itself do something with an invoice."""
        await self._ask("xendit", "POST", f"/_sim/invoices/{invoice_id}/{action}", json=body)

    async def switches(self) -> dict[str, Any]:
        return dict(await self._ask("xendit", "GET", "/_sim/faults"))

    async def set_switches(self, switches: Mapping[str, Any]) -> None:
        """Set the simulator's switches; those that are not named go back to their defaults."""
        await self._ask("xendit", "PUT", "/_sim/faults", json=switches)

    async def _ask(
        self, service: str, method: str, path: str, *, absent: Any = None, headers: Mapping[str, str] = {}, **sent: Any
    ) -> Any:
        own = {} if service == "xendit" else self._headers
        try:
            url = f"{self._urls[service]}{path}"
            answer = await self._http.request(method, url, headers={**own, **headers}, timeout=TIMEOUT_S, **sent)
            if answer.status_code == 404 and absent is not None:
                return absent
            found = answer.json()
        except httpx2.TimeoutException:
            raise NoAnswer(f"{service}: no answer in {TIMEOUT_S:g} s") from None
        except (httpx2.HTTPError, ValueError) as error:
            raise NoAnswer(f"{service}: {type(error).__name__}") from None
        if answer.status_code >= 400:
            sentence = found.get("error") or found.get("detail") or "" if isinstance(found, dict) else ""
            raise Declined(f"{service} answers {answer.status_code}: {str(sentence)[:MAX_SENTENCE]}")
        return found

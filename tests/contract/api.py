"""A client for the contract tests: single requests, new accounts, and callbacks with the right token."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2

from fc.demo.shop import Customer, Shop
from fc.stack.local import Stack
from tests.kit.stacks import secret_of

ADDRESS = {"payment_method": "BANK_TRANSFER", "shipping_address": "Jalan Merdeka 1, Jakarta"}

Payment = dict[str, Any]
"""A payment as its owner reads it."""


@dataclass(frozen=True)
class Api:
    """Calls the services of the running stack over HTTP."""

    stack: Stack
    client: httpx2.AsyncClient
    admin: Customer

    @classmethod
    async def opened(cls, stack: Stack, client: httpx2.AsyncClient, shop: Shop) -> "Api":
        """Log the administrator in."""
        return cls(stack, client, await shop.login("admin"))

    async def ask(
        self, service: str, method: str, path: str, who: Customer | None = None, **request: Any
    ) -> httpx2.Response:
        """Send a request, with `who`'s token if given; `headers` are added."""
        headers = (who.headers if who else {}) | request.pop("headers", {})
        return await self.client.request(method, self.stack.layout.url(service) + path, headers=headers, **request)

    async def register(self, **changes: Any) -> httpx2.Response:
        """Register a new user, with fields changed."""
        body = {"name": "Dewi", "email": f"{uuid4().hex}@example.com", "password": "correct horse", **changes}
        return await self.ask("userfc", "POST", "/v1/register", json={"confirm_password": body["password"], **body})

    async def visitor(self) -> Customer:
        """Register a new user and log in."""
        email = f"{uuid4().hex}@example.com"
        assert (await self.register(email=email)).status_code == 201
        answer = await self.ask("userfc", "POST", "/v1/login", json={"email": email, "password": "correct horse"})
        return Customer(email, self.client, self.stack.urls(), answer.json()["token"])

    async def checkout(
        self, who: Customer, items: list[dict[str, Any]], headers: Mapping[str, str] | None = None, **changes: Any
    ) -> httpx2.Response:
        """Send one checkout."""
        body = {"items": items, **ADDRESS, **changes}
        return await self.ask("orderfc", "POST", "/v1/orders/checkout", who, json=body, headers=dict(headers or {}))

    async def callback(self, payment: Mapping[str, Any], status: str = "PAID", **changes: Any) -> httpx2.Response:
        """Send Xendit's callback for a payment's invoice, with fields changed."""
        body = {
            "id": payment["invoice_id"],
            "external_id": payment["external_id"],
            "status": status,
            "amount": payment["amount"],
            "currency": payment["currency"],
            **changes,
        }
        token = secret_of(self.stack, "paymentfc", "xendit_webhook_token")
        return await self.ask(
            "paymentfc", "POST", "/v1/payments/xendit/webhook", json=body, headers={"x-callback-token": token}
        )

    async def anomalies(self, external_id: str) -> list[dict[str, Any]]:
        """Return the anomalies of an order, newest first."""
        answer = await self.ask("paymentfc", "GET", "/v1/payments/anomalies?page_size=100", self.admin)
        return [item for item in answer.json()["items"] if item["external_id"] == external_id]

    async def readiness(self, service: str) -> tuple[int, dict[str, Any]]:
        answer = await self.ask(service, "GET", "/ready")
        return answer.status_code, answer.json()


def sentence(answer: httpx2.Response) -> tuple[int, str]:
    """Return the status and the sentence of a refusal."""
    return answer.status_code, str(answer.json()["error"])

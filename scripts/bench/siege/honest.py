"""The honest customers: so many orders a second, each paid and read until it is completed."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2

from bench.siege.target import PASSWORD, register

CUSTOMERS = 10
TIMEOUT_S = 15.0
# From checkout to completed, refusals included.
ORDER_DEADLINE_S = 90.0
POLL_S = 0.5
LOGIN_EVERY_S = 15.0
REFUSALS = (429, 503)
BACKOFF_S = 1.0


@dataclass
class Journal:
    """What the customers saw: the seconds of each request, the failures, and how many were refused with Retry-After."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    refused: int = 0
    placed: int = 0
    completed: int = 0


class GaveUp(Exception):
    """A request failed; the journal has it."""


@dataclass
class Customers:
    """Customers who share one client."""

    client: httpx2.AsyncClient
    urls: dict[str, str]
    product: dict[str, Any]
    journal: Journal = field(default_factory=Journal)
    _tokens: dict[str, dict[str, str]] = field(default_factory=dict)

    async def open(self) -> None:
        """Register them."""
        for number in range(1, CUSTOMERS + 1):
            email = f"customer-{number}@example.com"
            self._tokens[email] = (await register(self.client, self.urls, email, f"Customer {number}")).headers

    async def run(self, seconds: float, rate: float) -> None:
        """Start `rate` orders a second, and log in again now and then; return when all orders are over."""
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            group.create_task(self._log_in_again(until))
            number = 0
            began = time.monotonic()
            while (now := time.monotonic()) < until:
                group.create_task(self._order(list(self._tokens)[number % CUSTOMERS]))
                number += 1
                await asyncio.sleep(max(0.0, began + number / rate - now))

    async def _log_in_again(self, until: float) -> None:
        while time.monotonic() < until:
            for email in list(self._tokens):
                try:
                    url = f"{self.urls['userfc']}/v1/login"
                    answer = await self._ask("POST", url, json={"email": email, "password": PASSWORD})
                except GaveUp:
                    continue
                self._tokens[email] = {"Authorization": f"Bearer {answer.json()['token']}"}
                await asyncio.sleep(LOGIN_EVERY_S / CUSTOMERS)

    async def _order(self, email: str) -> None:
        try:
            async with asyncio.timeout(ORDER_DEADLINE_S):
                await self._bought(email)
        except TimeoutError:
            self.journal.failures.append(f"an order was not completed within {ORDER_DEADLINE_S:g} s")
        except GaveUp:
            pass

    async def _bought(self, email: str) -> None:
        body = {
            "items": [{"product_id": self.product["id"], "quantity": 1}],
            "payment_method": "BANK_TRANSFER",
            "shipping_address": "Jalan Merdeka 1, Jakarta",
        }
        key = {"Idempotency-Key": uuid4().hex}
        url = f"{self.urls['orderfc']}/v1/orders/checkout"
        order = (await self._ask("POST", url, email, json=body, headers=key)).json()["order_id"]
        self.journal.placed += 1
        payment = f"{self.urls['paymentfc']}/v1/payments/{order}"
        # 404: the order's event has not arrived yet.
        paid = await self._until(payment, email, lambda view: view.get("invoice_url"), expected=(404,))
        await self._pay(f"{self.urls['xendit']}/_sim/invoices/{paid['invoice_id']}/pay")
        shown = f"{self.urls['orderfc']}/v1/orders/{order}"
        await self._until(shown, email, lambda view: view["status"] == "completed")
        self.journal.completed += 1

    async def _pay(self, url: str) -> None:
        """Pay at the simulator, whose time is not the platform's. Raises GaveUp after a failure."""
        try:
            (await self.client.post(url, json={}, timeout=TIMEOUT_S)).raise_for_status()
        except httpx2.HTTPError as error:
            self.journal.failures.append(f"POST {url}: {type(error).__name__} {error}")
            raise GaveUp from error

    async def _until(self, url: str, email: str, holds: Any, expected: tuple[int, ...] = ()) -> dict[str, Any]:
        while True:
            answer = await self._ask("GET", url, email, expected=expected)
            view: dict[str, Any] = answer.json()
            if answer.status_code == 200 and holds(view):
                return view
            await asyncio.sleep(POLL_S)

    async def _ask(
        self, method: str, url: str, email: str = "", *, expected: tuple[int, ...] = (), **request: Any
    ) -> httpx2.Response:
        """Repeat a request while it is refused with Retry-After. Raises GaveUp after a failure."""
        while True:
            answer = await self._once(method, url, email, **request)
            if answer.is_success or answer.status_code in expected:
                return answer
            wait = answer.headers.get("retry-after")
            if answer.status_code not in REFUSALS or wait is None:
                self.journal.failures.append(f"{method} {url}: {answer.status_code} {answer.text[:200]}")
                raise GaveUp
            self.journal.refused += 1
            await asyncio.sleep(max(float(wait), BACKOFF_S))

    async def _once(self, method: str, url: str, email: str, **request: Any) -> httpx2.Response:
        headers = {**request.pop("headers", {}), **self._tokens.get(email, {})}
        began = time.monotonic()
        try:
            return await self.client.request(method, url, headers=headers, timeout=TIMEOUT_S, **request)
        except httpx2.HTTPError as error:
            self.journal.failures.append(f"{method} {url}: {type(error).__name__} {error}")
            raise GaveUp from error
        finally:
            self.journal.seconds.append(time.monotonic() - began)

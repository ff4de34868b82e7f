"""A real Chromium, a simulator on a free port, and a merchant that records the callbacks it gets."""

import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser, Page

from testkit import eventually, free_port
from testkit.asgi import serving
from tests.kit import chromium
from xendit_sim.app import create_app
from xendit_sim.config import Settings

KEY, TOKEN = "xnd_development_ui", "token-of-the-ui-test"


@dataclass
class Merchant:
    """Keeps the bodies of callbacks; `answers` are used up one by one, then it is 200."""

    callbacks: list[dict[str, Any]] = field(default_factory=list)
    answers: deque[int] = field(default_factory=deque)

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
        if scope["type"] == "lifespan":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        assert dict(scope["headers"])[b"x-callback-token"] == TOKEN.encode()
        self.callbacks.append(json.loads(body))
        status = self.answers.popleft() if self.answers else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def got(self, *expected: tuple[str, float | None]) -> None:
        """Wait for callbacks, each as (status, paid amount), in this order, and for no other."""
        await eventually(lambda: len(self.callbacks) >= len(expected))
        assert [(body["status"], body.get("paid_amount")) for body in self.callbacks] == list(expected)


@dataclass
class PayPage:
    """The simulator's API, the merchant, and the page of a browser."""

    api: httpx2.AsyncClient
    merchant: Merchant
    page: Page

    async def open_invoice(self, **fields: Any) -> str:
        """Make an invoice of Rp150.000, open the page behind its `invoice_url` and return its id."""
        given = {"external_id": "order-7", "amount": 150_000, "description": "Payment of order-7", **fields}
        made = (await self.api.post("/v2/invoices", json=given)).raise_for_status().json()
        await self.page.goto(made["invoice_url"])
        return str(made["id"])

    async def invoice(self, invoice_id: str) -> dict[str, Any]:
        return dict((await self.api.get(f"/v2/invoices/{invoice_id}")).raise_for_status().json())


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests."""
    async with chromium.launched() as started:
        yield started


@pytest.fixture
async def pay_page(browser: Browser) -> AsyncIterator[PayPage]:
    """An empty simulator and a page; the first retry comes 0.1 s after the first attempt."""
    merchant, merchant_port, port = Merchant(), free_port(), free_port()
    settings = Settings(
        key=KEY,
        callback_token=TOKEN,
        callback_url=f"http://127.0.0.1:{merchant_port}/webhook",
        public_url=f"http://127.0.0.1:{port}",
        retry_scale=1 / 9000,
    )
    page = await browser.new_page(viewport={"width": 1200, "height": 900})
    async with (
        serving(merchant, merchant_port),
        serving(create_app(settings), port),
        httpx2.AsyncClient(base_url=settings.public_url, auth=httpx2.BasicAuth(KEY, ""), trust_env=False) as api,
    ):
        yield PayPage(api, merchant, page)
        await page.close()

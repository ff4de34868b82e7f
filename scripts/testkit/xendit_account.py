"""An account at Xendit as the suites of xendit_conformance.py use it, and the one at the simulator."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Literal, Protocol

import httpx2

from paymentfc.client.xendit import Xendit
from testkit import free_port
from testkit.asgi import serving
from xendit_sim.app import create_app
from xendit_sim.config import Settings

KEY = "xnd_development_test"
AMOUNT = Decimal(150_000)
ORDER, OTHER_ORDER = 7, 77
LISTED = 100
CLOCK_TOLERANCE = timedelta(seconds=5)

Call = Literal["create", "find", "get", "expire"]
Fault = Literal["refused", "busy", "unavailable", "unavailable_after_commit"]
"""400; 429; 500 before anything was done; 500 although the invoice was made."""


@dataclass(frozen=True)
class Listed:
    """One invoice of an order; `paid_amount` is None while nothing has been paid."""

    id: str
    status: str
    amount: Decimal
    currency: str
    paid_amount: Decimal | None


class Account(Protocol):
    """One account at Xendit, or at a stand-in, without invoices at first."""

    async def make(self, order_id: int, amount: Decimal = AMOUNT) -> str:
        """Make an invoice in IDR and return its id."""

    async def pay(self, invoice_id: str, amount: Decimal | None = None) -> None:
        """Pay an invoice as a customer does, with its own amount unless another is given."""

    async def expire(self, invoice_id: str) -> None:
        """End an invoice as Xendit does when its time is over."""

    async def pay_late(self, invoice_id: str) -> None:
        """Pay an expired invoice with its own amount."""

    async def listed(self, order_id: int) -> list[Listed]:
        """List the invoices of an order as the platform does."""


class GatewayAccount(Account, Protocol):
    """An account that paymentfc's gateway is connected to."""

    gateway: Xendit

    async def fail_next(self, call: Call, fault: Fault) -> None:
        """Have the next call of one kind fail."""


class SimulatorAccount:
    """The simulator over HTTP; a subclass says how the platform lists invoices."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx2.AsyncClient(base_url=url, auth=httpx2.BasicAuth(KEY, ""), trust_env=False)

    async def _post(self, path: str, **body: object) -> httpx2.Response:
        return (await self._http.post(path, json=body)).raise_for_status()

    async def make(self, order_id: int, amount: Decimal = AMOUNT) -> str:
        answer = await self._post("/v2/invoices", external_id=f"order-{order_id}", amount=int(amount))
        return str(answer.json()["id"])

    async def pay(self, invoice_id: str, amount: Decimal | None = None) -> None:
        body = {} if amount is None else {"amount": int(amount)}
        await self._post(f"/_sim/invoices/{invoice_id}/pay", **body)

    async def expire(self, invoice_id: str) -> None:
        await self._post(f"/_sim/invoices/{invoice_id}/expire")

    async def pay_late(self, invoice_id: str) -> None:
        await self._post(f"/_sim/invoices/{invoice_id}/pay", after_expiry=True)

    async def fail_next(self, call: Call, fault: Fault) -> None:
        if fault == "unavailable_after_commit":
            switches: dict[str, object] = {"create_fails_after_commit": 1}
        else:
            switch = "list_status" if call == "find" else f"{call}_status"
            status = {"refused": 400, "busy": 429, "unavailable": 500}[fault]
            switches = {switch: {"status": status, "times": 1}}
        (await self._http.put("/_sim/faults", json=switches)).raise_for_status()

    async def close(self) -> None:
        await self._http.aclose()


@asynccontextmanager
async def simulator() -> AsyncIterator[str]:
    """Serve a simulator without invoices whose callbacks reach no one. Yields its address."""
    settings = Settings(key=KEY, callback_url=f"http://127.0.0.1:{free_port()}/")
    async with serving(create_app(settings)) as url:
        yield url

"""A simulator with a clock and a sleep of the test's own, and a merchant's endpoint that takes real HTTP."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from testkit import eventually
from testkit.asgi import serving
from xendit_sim.app import create_app
from xendit_sim.config import Settings
from xendit_sim.simulator import Simulator

KEY = "xnd_development_test"
TOKEN = "callback-token-of-the-test"
START = datetime(2026, 3, 1, 9, 30, 0, 250_000, tzinfo=UTC)
ITEM = {"name": "Kopi", "price": 150_000, "quantity": 1}


@dataclass
class Callback:
    """One request to the merchant."""

    method: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def status(self) -> str:
        """The status of the invoice."""
        return str(self.body["status"])


@dataclass
class Merchant:
    """Keeps every callback in the order of arrival; `answers` are used up one by one, then it is 200.

    An answer is an HTTP status, or None: then the request gets no answer and ends when the caller disconnects.
    """

    url: str
    callbacks: list[Callback] = field(default_factory=list)
    answers: deque[int | None] = field(default_factory=deque)
    takes_s: float = 0
    together: int = 0
    most_together: int = 0
    gate: asyncio.Event | None = None

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
        """Take one request."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        answer = self.answers.popleft() if self.answers else 200
        self.callbacks.append(Callback(scope["method"], headers, json.loads(body) if body else {}))
        if answer is None:
            assert (await receive())["type"] == "http.disconnect"
            return
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        await (self.gate.wait() if self.gate else asyncio.sleep(self.takes_s))
        self.together -= 1
        location = [(b"location", self.url.encode())] if 300 <= answer < 400 else []
        await send({"type": "http.response.start", "status": answer, "headers": [(b"content-length", b"0"), *location]})
        await send({"type": "http.response.body", "body": b""})

    def closed_gate(self) -> asyncio.Event:
        """Delay all answers from now on until the event is set."""
        self.gate = asyncio.Event()
        return self.gate

    def statuses(self) -> list[str]:
        """The statuses of the callbacks in the order of arrival."""
        return [callback.status for callback in self.callbacks]

    async def got(self, count: int) -> list[Callback]:
        """Wait for so many callbacks and return all."""
        await eventually(lambda: len(self.callbacks) >= count)
        return self.callbacks


@dataclass
class Clock:
    """The clock of the simulator; it stands still until a test advances it."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Sleep:
    """Records the sleeps of the simulator without sleeping; `blocked` never returns."""

    slept: list[float] = field(default_factory=list)
    blocked: bool = False

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        await (asyncio.Event().wait() if self.blocked else asyncio.sleep(0))


@dataclass
class Sim:
    """A running simulator as its callers see it; `http` has the key."""

    app: FastAPI
    http: httpx2.AsyncClient
    merchant: Merchant
    clock: Clock
    sleep: Sleep

    @property
    def inside(self) -> Simulator:
        """The object behind the routes."""
        simulator: Simulator = self.app.state.simulator
        return simulator

    async def create(self, **fields: Any) -> dict[str, Any]:
        """Make an invoice of Rp150.000."""
        answer = await self.http.post("/v2/invoices", json={"external_id": "order-7", "amount": 150_000, **fields})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def get(self, invoice: dict[str, Any]) -> dict[str, Any]:
        """Read an invoice again."""
        return dict((await self.http.get(f"/v2/invoices/{invoice['id']}")).raise_for_status().json())

    async def act(self, invoice: dict[str, Any], action: str, **body: Any) -> dict[str, Any]:
        """Call the control API for an invoice."""
        answer = await self.http.post(f"/_sim/invoices/{invoice['id']}/{action}", json=body)
        return dict(answer.raise_for_status().json())

    async def faults(self, **switches: Any) -> dict[str, Any]:
        """Set the switches."""
        return dict((await self.http.put("/_sim/faults", json=switches)).raise_for_status().json())

    async def tries(self, count: int) -> list[dict[str, Any]]:
        """Wait for so many deliveries and return all."""

        async def over() -> list[dict[str, Any]] | None:
            found: list[dict[str, Any]] = (await self.http.get("/_sim/deliveries")).json()
            return found if len(found) >= count else None

        return list(await eventually(over))

    async def settled(self) -> dict[str, int]:
        """Wait until no webhook is pending and return the number in each state."""

        async def over() -> dict[str, int] | None:
            states: dict[str, int] = (await self.http.get("/_sim/stats")).json()["webhooks"]
            return states if states and "pending" not in states else None

        return dict(await eventually(over))


@asynccontextmanager
async def simulated(
    merchant: Merchant, *, clock: Clock | None = None, sleep: Sleep | None = None, **settings_: Any
) -> AsyncIterator[Sim]:
    """Run a simulator in this process; `settings_` replace those of a test."""
    given = {"key": KEY, "callback_token": TOKEN, "callback_url": merchant.url, "public_url": "http://pay.test"}
    hosts = frozenset({"sim.test"})
    settings = Settings(**{**given, "retry_scale": 1, "hosts": hosts, **settings_})
    clock, sleep = clock or Clock(), sleep or Sleep()
    app = create_app(settings, clock=clock, sleep=sleep)
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=transport, base_url="http://sim.test", auth=httpx2.BasicAuth(KEY, ""), trust_env=False
        ) as http,
    ):
        yield Sim(app, http, merchant, clock, sleep)


@pytest.fixture(scope="session")
async def merchants() -> AsyncIterator[tuple[str, dict[str, Merchant]]]:
    """One server for all tests: its address, and who answers on which path."""
    found: dict[str, Merchant] = {}

    async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
        await found[scope["path"]](scope, receive, send)

    async with serving(app, lifespan="off") as url:
        yield url, found


@pytest.fixture
def merchant(merchants: tuple[str, dict[str, Merchant]]) -> Merchant:
    """A merchant of the test's own that takes callbacks over real HTTP; those of refunds go to the newest."""
    url, found = merchants
    path = f"/webhook/{len(found)}"
    found[path] = found["/webhook/refund-webhook"] = Merchant(url + path)
    return found[path]


@pytest.fixture
async def sim(merchant: Merchant) -> AsyncIterator[Sim]:
    """An empty simulator."""
    async with simulated(merchant) as made:
        yield made


@pytest.fixture
def anonymous(sim: Sim) -> httpx2.AsyncClient:
    """A client without a key."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(sim.app), base_url="http://sim.test", trust_env=False)

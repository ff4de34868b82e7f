"""Every replica of every service is restarted under load: no request fails, and the audit finds nothing.

`ORDERS` is the number of orders meanwhile: 300 in `make test`, 1,000 in `make faults`.
"""

import asyncio
import itertools
import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import pytest

from chassis.http.server import LINGER_S
from fc.demo.shop import Customer, poll
from fc.stack.layout import SERVICES
from testkit import free_port
from tests.chaos.kit.arena import Arena
from tests.kit.processes import ServiceProcess

log = logging.getLogger(__name__)

ORDERS = int(os.environ.get("ORDERS", "300"))
CUSTOMERS = 12
STOP_LIMIT_S = 20
# Clients close idle connections before a stopping service does.
LIMITS = httpx2.Limits(keepalive_expiry=LINGER_S / 2)


@dataclass
class Fleet:
    """Two replicas of each service; a call whose connection is refused is sent once to the other one."""

    client: httpx2.AsyncClient
    urls: dict[str, list[str]]
    errors: list[str] = field(default_factory=list)
    calls: int = 0
    refused: int = 0
    _turns: Iterator[int] = field(default_factory=itertools.count)

    async def call(self, method: str, service: str, path: str, *allowed: int, **request: Any) -> dict[str, Any]:
        """Send a request; records an error for a lost connection and for a status that is neither 2xx nor allowed."""
        self.calls += 1
        first, second = self.urls[service]
        if next(self._turns) % 2:
            first, second = second, first
        try:
            try:
                answer = await self.client.request(method, f"{first}{path}", **request)
            except httpx2.ConnectError:
                self.refused += 1
                answer = await self.client.request(method, f"{second}{path}", **request)
        except httpx2.TransportError as error:
            self.errors.append(f"{method} {service}{path}: {type(error).__name__} {error}")
            raise
        if not (answer.is_success or answer.status_code in allowed):
            self.errors.append(f"{method} {service}{path}: {answer.status_code} {answer.text}")
        return dict(answer.json())

    async def buy(self, arena: Arena, who: Customer, product: int) -> int:
        """Read a product, order one piece, wait for the invoice, pay, and read the order."""
        await self.call("GET", "productfc", f"/v1/products/{product}")
        body = {
            "items": [{"product_id": product, "quantity": 1}],
            "payment_method": "BANK_TRANSFER",
            "shipping_address": "Jalan Merdeka 1, Jakarta",
        }
        headers = who.headers | {"Idempotency-Key": uuid4().hex}
        placed = await self.call("POST", "orderfc", "/v1/orders/checkout", headers=headers, json=body)
        order = int(placed["order_id"])

        async def invoice() -> str | None:
            found = await self.call("GET", "paymentfc", f"/v1/payments/{order}", 404, headers=who.headers)
            return str(found["invoice_id"]) if found.get("invoice_url") else None

        await arena.shop.pay(await poll(invoice, f"invoice of order {order}", 60, 0.1))
        await self.call("GET", "orderfc", f"/v1/orders/{order}", headers=who.headers)
        await self.call("GET", "userfc", "/v1/user-info", headers=who.headers)
        return order

    async def buy_all(self, arena: Arena, left: Iterator[int], product: int) -> list[int]:
        """Buy until `left` is used up."""
        return [await self.buy(arena, arena.alice, product) for _ in left]


@dataclass
class Second:
    """The second replica of a service; it is started again on the same ports."""

    arena: Arena
    service: str
    url: str = ""
    grpc_port: int = field(default_factory=free_port)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _running: ServiceProcess | None = None

    async def start(self) -> None:
        given = {"HTTP_PORT": str(urlsplit(self.url).port)} if self.url else {}
        if self.service == "userfc":
            given["GRPC_PORT"] = str(self.grpc_port)
        self._running = await self._stack.enter_async_context(self.arena.replica(self.service, given))
        self.url = self._running.url

    async def stop(self) -> None:
        """Send SIGTERM and check that the process exits with 0."""
        if self._running is not None:
            self._running.signal(signal.SIGTERM)
            assert await self._running.exit_code() == 0
        await self._stack.aclose()


async def _restarted(arena: Arena, service: str, second: Second) -> list[float]:
    """Restart both replicas, one after the other; return the seconds that each took to stop."""
    supervisor, took = arena.stack.supervisor, []
    began = time.monotonic()
    await asyncio.to_thread(supervisor.stop, service)
    took.append(time.monotonic() - began)
    await asyncio.to_thread(supervisor.start, service)
    await arena.stack.ready(service)
    began = time.monotonic()
    await second.stop()
    took.append(time.monotonic() - began)
    await second.start()
    return took


@pytest.mark.fault(72)
@pytest.mark.timeout(600)
async def test_orders_go_through_while_every_replica_is_restarted(arena: Arena) -> None:
    product = await arena.back_office.product(stock=ORDERS + 10)
    seconds = {name: Second(arena, name) for name in SERVICES}
    left = iter(range(ORDERS))
    try:
        await asyncio.gather(*(second.start() for second in seconds.values()))
        # Services reach both replicas of a neighbour. Without userfc a token can't be checked while Redis is slow.
        arena.network["productfc"].share(urlsplit(seconds["productfc"].url).port or 0)
        arena.network["grpc"].share(seconds["userfc"].grpc_port)
        urls = {name: [arena.stack.layout.url(name), seconds[name].url] for name in SERVICES}
        async with httpx2.AsyncClient(timeout=20, limits=LIMITS) as client:
            fleet = Fleet(client, urls)
            customers = [asyncio.create_task(fleet.buy_all(arena, left, product["id"])) for _ in range(CUSTOMERS)]
            stops: list[float] = []
            while not stops or not all(customer.done() for customer in customers):
                for name in SERVICES:
                    stops += await _restarted(arena, name, seconds[name])
            orders = [order for bought in await asyncio.gather(*customers) for order in bought]
    finally:
        arena.network["productfc"].share()
        arena.network["grpc"].share()
        await asyncio.gather(*(second.stop() for second in seconds.values()), return_exceptions=True)
        arena.healed()
    log.info("%d calls, %d refused; %d stops, the longest %.2f s", fleet.calls, fleet.refused, len(stops), max(stops))
    assert fleet.errors == []
    assert fleet.refused > 0
    assert max(stops) < STOP_LIMIT_S
    assert len(set(orders)) == ORDERS
    completed = "SELECT count(*) FROM orders WHERE id = ANY($1) AND status = 2"

    async def all_completed() -> bool:
        return bool((await arena.sql("orderfc", completed, orders))[0][0] == ORDERS)

    await poll(all_completed, "all orders are completed", 90, 0.5)
    assert await arena.back_office.stock(product) == 10
    await arena.exact()

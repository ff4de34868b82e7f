"""More customers than the machine can serve: answers or clear refusals, no timeouts, flat memory, and a clean audit.

`LOAD_S` is how long it lasts, 15 s by default; docs/evidence/faults.md has the figures of 60 s.
"""

import asyncio
import json
import logging
import os
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from fc.stack.layout import SERVICES
from tests.chaos.kit.arena import Arena

log = logging.getLogger(__name__)

CLIENTS = 100
LOAD_S = float(os.environ.get("LOAD_S", "15"))
WARM_UP_S = LOAD_S / 3
RETRY_PAUSE_S = 0.5
ALLOWED = {200, 201, 409, 429, 503}
"""409: the stock of a product is gone. 429 and 503 must have Retry-After."""


@dataclass
class Answers:
    """All answers: count by status, seconds by request, and answers that are not allowed."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    placed: list[int] = field(default_factory=list)


class Crowd:
    """A hundred customers without pauses."""

    def __init__(self, arena: Arena, client: httpx2.AsyncClient, products: list[int]) -> None:
        self.arena = arena
        self.client = client
        self.products = products
        self.answers = Answers()

    async def press(self, until: float) -> None:
        """Order, read, and pay what has an invoice, without pauses."""
        draw = random.Random(len(self.answers.seconds) + id(asyncio.current_task()))
        while time.monotonic() < until:
            order = await self._checkout(draw.choice(self.products))
            if order is None:
                continue
            await self._ask("GET", "orderfc", f"/v1/orders/{order}")
            payment = await self._ask("GET", "paymentfc", f"/v1/payments/{order}", 404)
            if payment and payment.get("invoice_url"):
                await self.arena.shop.pay(payment["invoice_id"])

    async def _checkout(self, product: int) -> int | None:
        body = {
            "items": [{"product_id": product, "quantity": 1}],
            "payment_method": "BANK_TRANSFER",
            "shipping_address": "Jalan Merdeka 1, Jakarta",
        }
        key = {"Idempotency-Key": uuid4().hex}
        placed = await self._ask("POST", "orderfc", "/v1/orders/checkout", headers=key, json=body)
        if placed is None:
            return None
        self.answers.placed.append(placed["order_id"])
        return int(placed["order_id"])

    async def _ask(
        self, method: str, service: str, path: str, *also: int, headers: dict[str, str] | None = None, **more: Any
    ) -> dict[str, Any] | None:
        """Return the body, or None for a refusal; records answers that are not allowed."""
        url = f"{self.arena.stack.layout.url(service)}{path}"
        began = time.monotonic()
        try:
            answer = await self.client.request(
                method, url, headers={**self.arena.alice.headers, **(headers or {})}, **more
            )
        except httpx2.TransportError as error:
            self.answers.wrong.append(f"{method} {path}: {type(error).__name__} {error}")
            return None
        self.answers.seconds.append(time.monotonic() - began)
        self.answers.statuses[answer.status_code] += 1
        if answer.status_code not in {*ALLOWED, *also}:
            self.answers.wrong.append(f"{method} {path}: {answer.status_code} {answer.text}")
        if answer.status_code in (429, 503):
            if not answer.headers.get("Retry-After", "").isdecimal():
                self.answers.wrong.append(f"{method} {path}: {answer.status_code} without Retry-After")
            await asyncio.sleep(RETRY_PAUSE_S)
        return dict(answer.json()) if answer.is_success else None


async def _memory(arena: Arena) -> dict[str, int]:
    """Return the resident memory of each service, in MiB."""
    memory = {}
    for service in SERVICES:
        text = (await arena.client.get(f"{arena.stack.layout.url(service)}/metrics")).text
        [value] = re.findall(r"^process_resident_memory_bytes ([\d.e+]+)$", text, re.MULTILINE)
        memory[service] = round(float(value) / 2**20)
    return memory


@pytest.mark.timeout(600)
async def test_at_saturation_customers_are_served_or_told_to_come_back_and_everything_adds_up(arena: Arena) -> None:
    products = [(await arena.back_office.product(stock=1_000))["id"] for _ in range(20)]
    limits = httpx2.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    pids = {service: arena.pid(service) for service in SERVICES}
    async with httpx2.AsyncClient(timeout=15, limits=limits) as client:
        crowd = Crowd(arena, client, products)
        began = time.monotonic()
        pressing = [asyncio.create_task(crowd.press(began + LOAD_S)) for _ in range(CLIENTS)]
        await asyncio.sleep(WARM_UP_S)
        warm = await _memory(arena)
        await asyncio.gather(*pressing)
        lasted, after = time.monotonic() - began, await _memory(arena)
    arena.healed()
    answers = crowd.answers
    answers.seconds.sort()
    figures = {
        "seconds": round(lasted, 1),
        "requests": len(answers.seconds),
        "orders": len(answers.placed),
        "statuses": dict(sorted(answers.statuses.items())),
        "p50_ms": round(answers.seconds[len(answers.seconds) // 2] * 1000),
        "p99_ms": round(answers.seconds[len(answers.seconds) * 99 // 100] * 1000),
        "max_ms": round(answers.seconds[-1] * 1000),
        "mib_warm": warm,
        "mib_after": after,
    }
    log.info("%s", figures)
    if path := os.environ.get("LOAD_RECORD"):
        Path(path).write_text(json.dumps(figures) + "\n", encoding="utf-8")
    assert answers.wrong == []
    assert answers.placed
    assert {service: arena.pid(service) for service in SERVICES} == pids
    grown = {name: f"{warm[name]} -> {after[name]} MiB" for name in SERVICES if after[name] > warm[name] * 1.25 + 16}
    assert grown == {}
    await arena.exact(quiet_s=300)
    counted = await arena.sql("orderfc", "SELECT count(*) FROM orders WHERE id = ANY($1)", answers.placed)
    assert counted[0][0] == len(answers.placed)

"""Orders at a steady pace, each paid as soon as it has an invoice. No call is repeated: a refusal is a failure."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx2

from chassis.events import identity
from contracts.topics import CONSUMERS, PRODUCERS
from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena

RATE = 20
COMPLETED = 2
LOOK_S = 0.5
SETTLED_S = 120
AT_A_TIME = 10
_UNPAID = "SELECT order_id, invoice_id FROM payments WHERE status = 'PENDING' AND invoice_id <> ''"
_DONE = "SELECT count(*) FROM orders WHERE id = ANY($1::bigint[]) AND status = $2"
_SENT = "SELECT event_id, topic, created_at, published_at FROM outbox WHERE key = ANY($1::text[])"
_UNSENT = "SELECT count(*) FROM outbox WHERE key = ANY($1::text[]) AND published_at IS NULL"
_APPLIED = "SELECT event_id, received_at FROM inbox WHERE event_id = ANY($1::uuid[])"


@dataclass
class Orders:
    """The orders of a load so far: `refused` has each checkout that was not answered with 201, and why."""

    product: dict[str, Any]
    placed: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    slowest_s: float = 0.0


@asynccontextmanager
async def orders_at(arena: Arena, rate: float = RATE) -> AsyncIterator[Orders]:
    """Place so many orders a second until the block ends, whatever becomes of those before, and pay them."""
    orders = Orders(await arena.back_office.product(stock=100_000))
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(_place(arena, orders, rate, stop))
        payer = group.create_task(_pay(arena))
        try:
            yield orders
        finally:
            stop.set()
            await _all_completed(arena, orders)
            payer.cancel()


async def count_reaches(orders: Orders, count: int) -> None:
    """Wait until so many orders are placed."""

    async def reached() -> bool:
        return len(orders.placed) >= count

    await poll(reached, f"{count} orders are placed", 90, 0.05)


async def _place(arena: Arena, orders: Orders, rate: float, stop: asyncio.Event) -> None:
    began, number = time.monotonic(), 0
    async with asyncio.TaskGroup() as group:
        while not stop.is_set():
            group.create_task(_checkout(arena, orders))
            number += 1
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))


async def _checkout(arena: Arena, orders: Orders) -> None:
    began = time.monotonic()
    try:
        orders.placed.append(await arena.alice.checkout(orders.product, 1))
    except httpx2.HTTPStatusError as refused:
        orders.refused.append(f"{refused.response.status_code} {refused.response.text}")
    except httpx2.TransportError as lost:
        orders.refused.append(type(lost).__name__)
    orders.slowest_s = max(orders.slowest_s, time.monotonic() - began)


async def _pay(arena: Arena) -> None:
    paid: set[str] = set()

    async def pay(invoice: str) -> None:
        async with gate:
            await arena.shop.pay(invoice)

    gate = asyncio.Semaphore(AT_A_TIME)
    while True:
        rows = await arena.sql("paymentfc", _UNPAID)
        new = {str(row["invoice_id"]) for row in rows} - paid
        await asyncio.gather(*(pay(invoice) for invoice in new))
        paid |= new
        await asyncio.sleep(LOOK_S)


async def _all_completed(arena: Arena, orders: Orders) -> None:
    async def completed() -> bool:
        return bool((await arena.sql("orderfc", _DONE, orders.placed, COMPLETED))[0][0] == len(orders.placed))

    await poll(completed, "every order is completed", SETTLED_S, 0.2)


@dataclass(frozen=True)
class Delays:
    """The longest times that events of the orders took, in seconds: from commit to ack, and from commit to effect."""

    sent_s: float
    applied_s: float
    events: int


async def delays(arena: Arena, orders: Orders) -> Delays:
    """Read the delays from outboxes and inboxes."""
    keys = [f"order-{number}" for number in orders.placed]
    made: dict[UUID, Any] = {}
    sent = []
    for service in sorted(set(PRODUCERS.values())):
        for row in await arena.sql(service, _SENT, keys):
            made[identity(service, row["topic"], str(row["event_id"]))] = row["created_at"]
            sent.append((row["published_at"] - row["created_at"]).total_seconds())
    applied = []
    for service in sorted({name for names in CONSUMERS.values() for name in names}):
        rows = await arena.sql(service, _APPLIED, list(made))
        applied += [(row["received_at"] - made[row["event_id"]]).total_seconds() for row in rows]
    return Delays(max(sent), max(applied), len(sent))


async def unsent(arena: Arena, orders: list[int]) -> int:
    """Count the events of these orders that wait in orderfc's outbox."""
    keys = [f"order-{number}" for number in orders]
    return int((await arena.sql("orderfc", _UNSENT, keys))[0][0])

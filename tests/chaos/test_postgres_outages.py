"""PostgreSQL restarts, stops responding, or its reply to a commit is lost."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar
from uuid import uuid4

import psutil
import pytest

from tests.chaos.kit.arena import Arena
from tests.chaos.kit.databases import orders_for
from tests.chaos.kit.locks import COMMIT_WAITS, at_commit, commit_gate, wait_for_waiters
from tests.chaos.kit.requests import checkout, refused_for_now, together, unlimited_client

T = TypeVar("T")


@asynccontextmanager
async def everything_frozen(arena: Arena) -> AsyncIterator[None]:
    """Stop PostgreSQL and all its sessions for the block; SIGSTOP to the server alone does not stop its sessions."""
    server = psutil.Process(arena.pid("postgres"))
    server.suspend()
    processes = [server, *server.children(recursive=True)]
    for process in processes[1:]:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(processes):
            process.resume()
    arena.healed()


@pytest.mark.fault(67)
async def test_an_immediate_restart_under_load_leaves_no_half_order_and_no_lost_payment(arena: Arena) -> None:
    product = await arena.back_office.product(stock=30)
    paying = [await arena.alice.checkout(product, 1) for _ in range(6)]
    invoices = [(await arena.invoice(order))["invoice_id"] for order in paying]
    pid = arena.pid("postgres")
    ordering = [asyncio.create_task(arena.bob.checkout_until_answered(product, 1, uuid4().hex)) for _ in range(12)]
    payments = [asyncio.create_task(arena.shop.pay(invoice)) for invoice in invoices]
    await asyncio.wait(ordering, return_when=asyncio.FIRST_COMPLETED)
    os.kill(pid, signal.SIGQUIT)
    await asyncio.gather(*payments)
    orders = await asyncio.gather(*ordering)
    await asyncio.to_thread(arena.stack.up)
    arena.healed()
    assert arena.pid("postgres") != pid
    for order in paying:
        await arena.alice.wait_status(order, "completed", 40)
    await arena.complete(orders[0], arena.bob)
    await arena.exact()
    assert len(set(orders)) == 12
    assert await orders_for(arena, product) == 18
    assert await arena.back_office.stock(product) == 12


@pytest.mark.fault(67)
@pytest.mark.long
async def test_a_frozen_postgres_is_not_waited_for_without_end_and_is_used_again_afterwards(arena: Arena) -> None:
    product, keys = await arena.back_office.product(stock=30), [uuid4().hex for _ in range(6)]
    async with unlimited_client() as client:
        async with everything_frozen(arena):
            refused = await together(checkout(arena, (product, 1), key=key, client=client) for key in keys)
            assert [refused_for_now(answer) for answer in refused] == [True] * 6
        orders = await asyncio.gather(*(arena.alice.checkout_until_answered(product, 1, key) for key in keys))
    await arena.complete(orders[0])
    await arena.exact()
    assert await orders_for(arena, product) == 6
    assert await arena.back_office.stock(product) == 24


@pytest.mark.fault(67)
async def test_a_service_stops_in_time_while_postgres_is_frozen(arena: Arena) -> None:
    _, order = await arena.placed()
    async with arena.replaced("orderfc") as running:
        await arena.complete(order)
        async with everything_frozen(arena):
            running.signal(signal.SIGTERM)
            await running.exit_code(22)
    await arena.exact()


async def with_lost_reply(arena: Arena, service: str, table: str, request: Coroutine[Any, Any, T]) -> T:
    """Run a request whose commit on a table succeeds while the reply of PostgreSQL is lost."""
    async with at_commit(arena, service, table, "true", COMMIT_WAITS), AsyncExitStack() as fault:
        async with commit_gate(arena, service) as gate:
            task = asyncio.create_task(request)
            await wait_for_waiters(gate, advisory=True)
            await fault.enter_async_context(arena.broken("postgres", "cut", 0))
        return await task


@pytest.mark.fault(68)
async def test_an_order_whose_commit_was_not_heard_of_is_found_again_under_its_key(arena: Arena) -> None:
    product, key = await arena.back_office.product(stock=5), uuid4().hex
    answer = await with_lost_reply(arena, "orderfc", "orders", checkout(arena, (product, 1), key=key))
    assert refused_for_now(answer)
    [row] = await arena.sql("orderfc", "SELECT order_id FROM idempotency_keys WHERE key = $1", key)
    assert await arena.alice.checkout_until_answered(product, 1, key) == row["order_id"]
    again = await checkout(arena, (product, 1), key=key)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    await arena.complete(row["order_id"])
    await arena.exact()
    assert await orders_for(arena, product) == 1
    assert await arena.back_office.stock(product) == 4


async def pay_until_answered(arena: Arena, invoice: str) -> list[int]:
    """Pay an invoice and return the statuses with which its callback was answered."""
    await arena.shop.pay(invoice)
    return await arena.shop.deliveries(invoice, 1)


@pytest.mark.fault(68)
@pytest.mark.parametrize(("table", "status"), [("payment_callbacks", 503), ("payments", 200)])
async def test_a_payment_whose_commit_was_not_heard_of_counts_once(arena: Arena, table: str, status: int) -> None:
    # The callback is stored and answered by one transaction, and takes effect by another.
    _, order = await arena.placed()
    invoice = (await arena.invoice(order))["invoice_id"]
    assert await with_lost_reply(arena, "paymentfc", table, pay_until_answered(arena, invoice)) == [status]
    await arena.shop.resend(invoice, 2)
    await arena.alice.wait_status(order, "completed", 40)
    await arena.exact()
    topics = [event.topic for event in await arena.bus.events_of(order)]
    assert topics.count("payment.success") == 1

"""PostgreSQL restarts, stops responding, or its reply to a commit is lost."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import psutil
import pytest

from fc.demo.shop import poll
from tests.chaos.kit.arena import Arena
from tests.chaos.kit.databases import administer, orders_for
from tests.chaos.kit.requests import checkout, refused_for_now, together, unlimited_client


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


SLOW_COMMIT = """
CREATE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slow_commit AFTER {change} ON {table} DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION slow_commit();
"""


@asynccontextmanager
async def commit_without_reply(arena: Arena, service: str, change: str, table: str) -> AsyncIterator[None]:
    """Have commits of a change take a second, so that a test can cut the connection before the reply."""
    await administer(arena, SLOW_COMMIT.format(change=change, table=table), database=service)
    try:
        yield
    finally:
        await administer(arena, "DROP FUNCTION slow_commit CASCADE", database=service)
    arena.healed()


async def commits(arena: Arena, service: str) -> bool:
    """Whether a slow commit is running."""
    connection = await arena.stack.programs.postgres.connect(service)
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'PgSleep'"
    try:
        return bool(await connection.fetchval(query, service))
    finally:
        await connection.close()


@pytest.mark.fault(68)
async def test_an_order_whose_commit_was_not_heard_of_is_found_again_under_its_key(arena: Arena) -> None:
    product, key = await arena.back_office.product(stock=5), uuid4().hex
    async with commit_without_reply(arena, "orderfc", "INSERT", "orders"):
        asking = asyncio.create_task(checkout(arena, (product, 1), key=key))
        await poll(lambda: commits(arena, "orderfc"), "the order is committed")
        async with arena.broken("postgres", "cut", 0):
            assert refused_for_now(await asking)
    [row] = await arena.sql("orderfc", "SELECT order_id FROM idempotency_keys WHERE key = $1", key)
    assert await arena.alice.checkout_until_answered(product, 1, key) == row["order_id"]
    again = await checkout(arena, (product, 1), key=key)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    await arena.complete(row["order_id"])
    await arena.exact()
    assert await orders_for(arena, product) == 1
    assert await arena.back_office.stock(product) == 4


@pytest.mark.fault(68)
async def test_a_payment_whose_commit_was_not_heard_of_counts_once(arena: Arena) -> None:
    _, order = await arena.placed()
    invoice = (await arena.invoice(order))["invoice_id"]
    async with commit_without_reply(arena, "paymentfc", "UPDATE", "payments"):
        paying = asyncio.create_task(arena.shop.pay(invoice))
        await poll(lambda: commits(arena, "paymentfc"), "the payment is committed")
        async with arena.broken("postgres", "cut", 0):
            await paying

            async def over() -> bool:
                return not await commits(arena, "paymentfc")

            await poll(over, "the commit is done")
    await arena.shop.resend(invoice, 2)
    await arena.alice.wait_status(order, "completed", 40)
    await arena.exact()
    topics = [event.topic for event in await arena.bus.events_of(order)]
    assert topics.count("payment.success") == 1

"""The whole process, as it is run, with a real broker, database, audit log and Xendit's simulator."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pymongo import AsyncMongoClient

from paymentfc.repository.audit import COLLECTION, DATABASE
from testkit import eventually, free_port

from .bench import TRACE, Bench
from .stack import Stack, published, running, started


@pytest.fixture(scope="module")
async def stack(
    make_database: Callable[[str], Awaitable[dict[str, Any]]],
    kafka_broker: str,
    mongo_uri: str,
    redis_server: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stack]:
    """One running service with all its dependencies."""
    servers = {**redis_server, "kafka_broker": kafka_broker, "mongo_uri": mongo_uri}
    folder = tmp_path_factory.mktemp("paymentfc")
    async with started({**await make_database("paymentfc"), **servers}, folder) as stack:
        yield stack


async def test_an_order_is_invoiced_paid_told_and_audited(stack: Stack, mongo_uri: str) -> None:
    order_id = await stack.order()
    payment = await stack.payment(order_id)
    await stack.act(payment["invoice_id"], "pay")
    await stack.payment(order_id, "PAID")
    await stack.act(payment["invoice_id"], "resend", times=3)
    (event,) = await published(stack, "payment.success", order_id)
    assert event["traceparent"].split("-")[1] == TRACE.split("-")[1]
    assert event["ce_source"] == "paymentfc"

    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo_uri)

    async def complete() -> bool:
        found = [document["event"] async for document in client[DATABASE][COLLECTION].find({"order_id": order_id})]
        return sorted(found) == ["event.published", "invoice.created", "payment.created", "payment.paid"]

    await eventually(complete)
    await client.close()


async def test_creates_that_commit_but_answer_500_leave_one_live_invoice(stack: Stack) -> None:
    await stack.faults(create_fails_after_commit=2)
    orders = [await stack.order() for _ in range(5)]
    for order_id in orders:
        payment = await stack.payment(order_id)
        assert [invoice["id"] for invoice in await stack.invoices(order_id)] == [payment["invoice_id"]]


async def test_refusals_fail_the_payment(stack: Stack) -> None:
    await stack.faults(create_status={"status": 400, "times": 4})
    order_id = await stack.order()
    payment = await stack.payment(order_id, "FAILED", invoice=False)
    assert payment["reason"] == "invoice_refused"
    assert len(await published(stack, "payment.failed", order_id)) == 1
    assert await stack.invoices(order_id) == []


async def test_an_outage_of_xendit_is_waited_out(stack: Stack) -> None:
    await stack.faults(create_status={"status": 503, "times": 3})
    order_id = await stack.order()
    await stack.payment(order_id)
    assert len(await stack.invoices(order_id)) == 1


async def test_the_webhook_may_overtake_the_answer_of_create(stack: Stack) -> None:
    await stack.faults(auto_pay=True, webhook_before_response=True)
    order_id = await stack.order()
    await stack.payment(order_id, "PAID")
    await stack.faults(auto_pay=False, webhook_before_response=False)
    assert len(await published(stack, "payment.success", order_id)) == 1


async def test_a_worker_killed_after_xendit_made_the_invoice_leaves_one_that_the_next_one_finds(
    stack: Stack, bench: Bench, tmp_path: Path
) -> None:
    # On a database of its own and without a broker, so that no other worker takes the request.
    order_id = 2_000_000_000 + uuid4().int % 1_000_000_000
    await bench.order(order_id)
    given = {name.upper(): str(value) for name, value in bench.database.items()}
    port = free_port()
    env = {**stack.env, **given, "KAFKA_BROKER": f"127.0.0.1:{free_port()}", "HTTP_PORT": str(port)}
    command = [sys.executable, "-m", "paymentfc", "worker"]
    doomed = {**env, "FAILPOINTS": "paymentfc.after_create=kill"}
    killed = await asyncio.to_thread(subprocess.run, command, env=doomed, capture_output=True, timeout=40, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert (await bench.payment(order_id)).invoice_id is None
    await bench.execute("UPDATE payment_requests SET lease_until = now()")
    async with running("paymentfc", env, f"http://127.0.0.1:{port}/ping", tmp_path / "worker.log", "worker"):

        async def stored() -> str | None:
            return (await bench.payment(order_id)).invoice_id

        found = await eventually(stored, 20)
    assert [invoice["id"] for invoice in await stack.invoices(order_id)] == [found]


async def test_stock_rejected_expires_the_invoice_at_xendit(stack: Stack) -> None:
    order_id = await stack.order()
    await stack.payment(order_id)
    await stack.publish("stock.rejected", order_id, products=[], reason="out of stock")
    await stack.payment(order_id, "FAILED")

    async def expired() -> bool:
        return [invoice["status"] for invoice in await stack.invoices(order_id)] == ["EXPIRED"]

    await eventually(expired)


async def test_an_expired_invoice_fails_the_payment(stack: Stack) -> None:
    order_id = await stack.order()
    payment = await stack.payment(order_id)
    await stack.act(payment["invoice_id"], "expire")
    await stack.payment(order_id, "EXPIRED")
    assert len(await published(stack, "payment.failed", order_id)) == 1

"""The whole process, as it is run, with a real broker, database, audit log and Xendit's simulator."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc.aio
import httpx2
import pytest
from aiokafka import AIOKafkaConsumer
from pymongo import AsyncMongoClient

from chassis.auth.tokens import encode_token
from chassis.config.settings import load
from chassis.events import wire_headers
from chassis.grpc.server import server as grpc_server
from chassis.ids import uuid7
from chassis.kafka.producer import Producer
from chassis.kafka.topics import ensure_topics
from chassis.pb import user_pb2, user_pb2_grpc
from paymentfc.app import SERVICE
from paymentfc.config import Settings
from paymentfc.repository.audit import COLLECTION, DATABASE
from testkit import eventually, free_port

from .conftest import TRACE, Bench

KEY, TOKEN = "xnd_development_test", "test-token"


class Users(user_pb2_grpc.UserServiceServicer):
    """userfc, as far as an invoice needs it."""

    async def GetUserInfoByUserId(self, request: Any, _context: object) -> Any:
        return user_pb2.GetUserInfoResult(id=request.user_id, email="payer@example.com", name="P", role="user")


def _register(server: grpc.aio.Server) -> None:
    user_pb2_grpc.add_UserServiceServicer_to_server(Users(), server)


@dataclass
class Stack:
    """Addresses of one running service and of what it stands on."""

    settings: Settings
    env: dict[str, str]
    http: httpx2.AsyncClient
    sim: httpx2.AsyncClient
    producer: Producer

    async def publish(self, topic: str, order_id: int, **fields: Any) -> None:
        """Publish an event about an order as another service would."""
        body = json.dumps({"order_id": order_id, **fields}).encode()
        headers = wire_headers("orderfc", uuid7(), topic, datetime.now(UTC), {"traceparent": TRACE})
        encoded = [(name, value.encode()) for name, value in headers.items()]
        await self.producer.send(topic, body, f"order-{order_id}".encode(), encoded)

    async def order(self) -> int:
        """Publish order.created of a new order of user 3."""
        order_id = 1_000_000 + uuid4().int % 1_000_000_000
        await self.publish("order.created", order_id, user_id=3, total_amount=150000, currency="IDR")
        return order_id

    async def payment(self, order_id: int, status: str = "PENDING", *, invoice: bool = True) -> dict[str, Any]:
        """Wait until the payment has a status, and its invoice where one is expected."""
        token = encode_token(self.settings.jwt_secret, user_id=3, email="payer@example.com", role="user")

        async def found() -> dict[str, Any] | None:
            answer = await self.http.get(f"/v1/payments/{order_id}", headers={"authorization": f"Bearer {token}"})
            body: dict[str, Any] = answer.json()
            there = answer.status_code == 200 and body["status"] == status and (body["invoice_url"] or not invoice)
            return body if there else None

        return dict(await eventually(found, 30))

    async def invoices(self, order_id: int) -> list[dict[str, Any]]:
        """Give the order's invoices as the simulator, an independent witness, has them."""
        found = (await self.sim.get("/_sim/invoices")).json()
        return [invoice for invoice in found if invoice["external_id"] == f"order-{order_id}"]

    async def act(self, invoice_id: str, action: str, **body: Any) -> None:
        """Do what a payer or an operator does at the simulator."""
        (await self.sim.post(f"/_sim/invoices/{invoice_id}/{action}", json=body)).raise_for_status()

    async def faults(self, **switches: Any) -> None:
        """Make the simulator misbehave."""
        (await self.sim.put("/_sim/faults", json=switches)).raise_for_status()


@asynccontextmanager
async def running(module: str, env: dict[str, str], url: str, log: Path, *arguments: str) -> AsyncIterator[None]:
    """Run a program until it has answered and the block has ended."""
    with log.open("ab") as out:
        process = subprocess.Popen([sys.executable, "-m", module, *arguments], env=env, stdout=out, stderr=out)
    try:
        async with httpx2.AsyncClient() as client:

            async def answers() -> bool:
                assert process.poll() is None, log.read_text()[-3000:]
                try:
                    return (await client.get(url)).status_code == 200
                except httpx2.HTTPError:
                    return False

            await eventually(answers, 40)
        yield
    finally:
        process.terminate()
        assert await asyncio.to_thread(process.wait, 25) in (0, -15), log.read_text()[-3000:]


@pytest.fixture(scope="module")
async def stack(
    make_database: Callable[[str], Awaitable[dict[str, Any]]], kafka_broker: str, mongo_uri: str,
    redis_server: dict[str, Any], tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stack]:  # fmt: skip
    """Give one service with everything it needs."""
    folder = tmp_path_factory.mktemp("paymentfc")
    http_port, sim_port, users_port = free_port(), free_port(), free_port()
    given = {
        **await make_database("paymentfc"), **redis_server, "kafka_broker": kafka_broker, "mongo_uri": mongo_uri,
        "http_host": "127.0.0.1", "http_port": http_port, "user_service_addr": f"127.0.0.1:{users_port}",
        "xendit_base_url": f"http://127.0.0.1:{sim_port}", "xendit_secret_api_key": KEY, "xendit_webhook_token": TOKEN,
        "scheduler_pending_interval_s": 0.5, "scheduler_retry_interval_s": 0.2, "payment_retry_backoff_s": 0.1,
        "scheduler_expiry_interval_s": 0.5,
    }  # fmt: skip
    settings = load(Settings, **given)
    env = {**os.environ, **{name.upper(): str(value) for name, value in given.items()}}
    sim_env = {**os.environ, "XENDIT_SIM_PORT": str(sim_port), "XENDIT_SIM_KEY": KEY,
               "XENDIT_SIM_CALLBACK_TOKEN": TOKEN,
               "XENDIT_SIM_CALLBACK_URL": f"http://127.0.0.1:{http_port}/v1/payments/xendit/webhook"}  # fmt: skip
    await ensure_topics(settings, SERVICE.topics)
    users = await grpc_server(
        settings,
        {"user.UserService": _register},
        port=users_port,
    )
    await users.start()
    urls = f"http://127.0.0.1:{http_port}", f"http://127.0.0.1:{sim_port}"
    producer = Producer(settings)
    async with (
        running("xendit_sim", sim_env, f"{urls[1]}/_sim/invoices", folder / "sim.log"),
        running("paymentfc", env, f"{urls[0]}/ready", folder / "paymentfc.log", "serve"),
        httpx2.AsyncClient(base_url=urls[0]) as http,
        httpx2.AsyncClient(base_url=urls[1]) as sim,
    ):
        yield Stack(settings, env, http, sim, producer)
    await producer.close()
    await users.stop(grace=1)


async def published(stack: Stack, topic: str, order_id: int) -> list[dict[str, str]]:
    """Read a topic from its beginning and give the headers of each event about an order."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=stack.settings.kafka_broker, auto_offset_reset="earliest")
    await consumer.start()
    found: list[dict[str, str]] = []
    deadline = time.monotonic() + 15
    try:
        while time.monotonic() < deadline:
            batches = await consumer.getmany(timeout_ms=1500)
            records = [record for batch in batches.values() for record in batch]
            for record in records:
                if record.key == f"order-{order_id}".encode():
                    found.append({name: value.decode() for name, value in record.headers})
            if found and not records:
                break
    finally:
        await consumer.stop()
    return found


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

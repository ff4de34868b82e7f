"""A payment service that runs as a process, with a broker, Xendit's simulator and a userfc of one call."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc.aio
import httpx2
from aiokafka import AIOKafkaConsumer

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
from testkit import eventually, free_port

from .bench import TRACE

KEY, TOKEN = "xnd_development_test", "test-token"
SETTINGS = {
    "xendit_secret_api_key": KEY,
    "xendit_webhook_token": TOKEN,
    "scheduler_pending_interval_s": 0.5,
    "scheduler_retry_interval_s": 0.2,
    "payment_retry_backoff_s": 0.1,
    "scheduler_expiry_interval_s": 0.5,
}


class Users(user_pb2_grpc.UserServiceServicer):
    """userfc, with the calls that an invoice and a token need."""

    async def GetUserInfoByUserId(self, request: Any, _context: object) -> Any:
        return user_pb2.GetUserInfoResult(id=request.user_id, email="payer@example.com", name="P", role="user")

    async def ValidateToken(self, _request: Any, _context: object) -> Any:
        return user_pb2.ValidateTokenResponse(valid=True)


def _register(server: grpc.aio.Server) -> None:
    user_pb2_grpc.add_UserServiceServicer_to_server(Users(), server)


@dataclass
class Stack:
    """One running service, and clients of its dependencies."""

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
        """Return the order's invoices at the simulator."""
        invoices = (await self.sim.get("/_sim/invoices")).json()
        return [invoice for invoice in invoices if invoice["external_id"] == f"order-{order_id}"]

    async def act(self, invoice_id: str, action: str, **body: Any) -> None:
        """Run an action of a payer or of an operator at the simulator."""
        (await self.sim.post(f"/_sim/invoices/{invoice_id}/{action}", json=body)).raise_for_status()

    async def faults(self, **switches: Any) -> None:
        """Set the faults of the simulator."""
        (await self.sim.put("/_sim/faults", json=switches)).raise_for_status()


@asynccontextmanager
async def running(module: str, env: dict[str, str], url: str, log: Path, *arguments: str) -> AsyncIterator[None]:
    """Run a program during the block, which begins when `url` answers."""
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


@asynccontextmanager
async def started(dependencies: dict[str, Any], folder: Path) -> AsyncIterator[Stack]:
    """Run the service, the simulator and userfc; `dependencies` are the settings of the database and the servers."""
    http_port, sim_port, users_port = free_port(), free_port(), free_port()
    values = {
        **dependencies,
        "http_host": "127.0.0.1",
        "http_port": http_port,
        "user_service_addr": f"127.0.0.1:{users_port}",
        "xendit_base_url": f"http://127.0.0.1:{sim_port}",
        **SETTINGS,
    }
    settings = load(Settings, **values)
    env = {**os.environ, **{name.upper(): str(value) for name, value in values.items()}}
    await ensure_topics(settings, SERVICE.topics)
    users = await grpc_server(settings, {"user.UserService": _register}, port=users_port)
    await users.start()
    url, sim_url = f"http://127.0.0.1:{http_port}", f"http://127.0.0.1:{sim_port}"
    producer = Producer(settings)
    async with (
        running("xendit_sim", _sim_env(sim_port, url), f"{sim_url}/_sim/invoices", folder / "sim.log"),
        running("paymentfc", env, f"{url}/ready", folder / "paymentfc.log", "serve"),
        httpx2.AsyncClient(base_url=url) as http,
        httpx2.AsyncClient(base_url=sim_url) as sim,
    ):
        yield Stack(settings, env, http, sim, producer)
    await producer.close()
    await users.stop(grace=1)


def _sim_env(port: int, service: str) -> dict[str, str]:
    return {
        **os.environ,
        "XENDIT_SIM_PORT": str(port),
        "XENDIT_SIM_KEY": KEY,
        "XENDIT_SIM_CALLBACK_TOKEN": TOKEN,
        "XENDIT_SIM_CALLBACK_URL": f"{service}/v1/payments/xendit/webhook",
    }


async def published(stack: Stack, topic: str, order_id: int) -> list[dict[str, str]]:
    """Read a topic from its beginning and return the headers of each event about an order."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=stack.settings.kafka_broker, auto_offset_reset="earliest")
    await consumer.start()
    headers: list[dict[str, str]] = []
    deadline = time.monotonic() + 15
    try:
        while time.monotonic() < deadline:
            batches = await consumer.getmany(timeout_ms=1500)
            records = [record for batch in batches.values() for record in batch]
            ours = (record.headers for record in records if record.key == f"order-{order_id}".encode())
            headers.extend({name: value.decode() for name, value in pairs} for pairs in ours)
            if headers and not records:
                break
    finally:
        await consumer.stop()
    return headers

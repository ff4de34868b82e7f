"""orderfc as its own process against a real broker: from the command line to a completed order and a clean stop."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from redis.asyncio import Redis

from chassis.auth.revocation import FILLED
from chassis.auth.tokens import encode_token
from testkit import eventually, free_port

from .conftest import body

SHELF = b'{"products":[{"id":1,"name":"Kopi","price":150000,"stock":5}]}'


async def _shelf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while await reader.readuntil(b"\r\n\r\n"):
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            writer.write(head % len(SHELF) + SHELF)
            await writer.drain()
    writer.close()


async def _run(environment: dict[str, str], command: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "orderfc", command, env=environment)
    assert await process.wait() == 0


@asynccontextmanager
async def _serving(environment: dict[str, str]) -> AsyncIterator[httpx2.AsyncClient]:
    """Run `serve` until the block ends, then expect SIGTERM to stop it with exit code 0."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "orderfc", "serve", env=environment)
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{environment['HTTP_PORT']}", timeout=10) as http:

            async def ready() -> bool:
                with suppress(httpx2.HTTPError):
                    return (await http.get("/ready")).status_code == 200
                return False

            await eventually(ready, 30)
            yield http
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 25) == 0
    finally:
        with suppress(ProcessLookupError):
            process.kill()


async def test_a_served_order_is_published_completed_by_its_payment_and_the_process_stops_cleanly(
    make_database: Callable[[str], Awaitable[dict[str, Any]]], redis_server: dict[str, Any], kafka_broker: str
) -> None:
    secret = "a-secret-of-this-test-0123456789-0123456789"
    shelf = await asyncio.start_server(_shelf, "127.0.0.1", 0)
    values = {
        **await make_database("orderfc"),
        **redis_server,
        "kafka_broker": kafka_broker,
        "http_port": free_port(),
        "jwt_secret": secret,
        "product_host": f"http://127.0.0.1:{shelf.sockets[0].getsockname()[1]}",
        "user_service_addr": f"127.0.0.1:{free_port()}",
    }
    environment = os.environ | {name.upper(): str(value) for name, value in values.items()}
    await _userfc_has_filled(redis_server)
    await _run(environment, "migrate")
    await _run(environment, "topics")
    user = {"Authorization": f"Bearer {encode_token(secret, user_id=7, email='a@example.com', role='user')}"}
    async with _serving(environment) as http:
        answer = await http.post("/v1/orders/checkout", headers=user | {"Idempotency-Key": "k"}, json=body())
        assert answer.status_code == 201, answer.text
        order_id = answer.json()["order_id"]
        assert await published(kafka_broker, order_id) == {"order.created", "stock.updated"}
        await send(kafka_broker, "payment.success", order_id, {"order_id": order_id, "status": "PAID"})

        async def completed() -> bool:
            shown = await http.get(f"/v1/orders/{order_id}", headers=user)
            return bool(shown.json()["status"] == "completed")

        await eventually(completed, 20)
    shelf.close()


async def _userfc_has_filled(server: dict[str, Any]) -> None:
    """Say in userfc's place, which does not run here, that Redis knows of every token that was logged out."""
    async with Redis(
        host=server["redis_host"], port=server["redis_port"], password=server["redis_password"] or None
    ) as redis:
        await redis.set(FILLED, "a run of userfc")


async def published(broker: str, order_id: int) -> set[str]:
    """Read the topics until both events of the order were seen; checks key and CloudEvents headers."""
    consumer = AIOKafkaConsumer(
        "order.created", "stock.updated", bootstrap_servers=broker, auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    seen: set[str] = set()
    try:
        async with asyncio.timeout(20):
            async for record in consumer:
                if record.key == f"order-{order_id}".encode() and json.loads(record.value)["order_id"] == order_id:
                    headers = dict(record.headers)
                    assert (headers["ce_type"], headers["ce_source"]) == (record.topic.encode(), b"orderfc")
                    seen.add(record.topic)
                if len(seen) == 2:
                    return seen
    finally:
        await consumer.stop()
    return seen


async def send(broker: str, topic: str, order_id: int, value: dict[str, Any]) -> None:
    """Send an event without headers, as a Go service does."""
    producer = AIOKafkaProducer(bootstrap_servers=broker)
    await producer.start()
    await producer.send_and_wait(topic, json.dumps(value).encode(), key=f"order-{order_id}".encode())
    await producer.stop()

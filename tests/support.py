"""Hands for the end to end tests: the kitchen behind the shop, the bus between the services, and a kill at a line."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import uuid4

import httpx2
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from fc.shop import Shop, poll
from fc.stack import Stack

TOPICS = ("order.created", "stock.updated", "stock.rollback", "payment.success", "payment.failed", "stock.rejected")
GROUPS = ("productfc", "orderfc", "paymentfc")

# Order ids that orderfc will not give out during a test run.
_foreign = count(9_000_000_000 + time.time_ns() % 1_000_000_000)


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """Start a stack for the block; stop and remove it afterwards."""
    stack.up()
    try:
        yield stack
    finally:
        stack.down()
        stack.wipe()


class Kitchen:
    """What tests arrange and read behind the customers' backs."""

    def __init__(self, stack: Stack, shop: Shop, client: httpx2.AsyncClient) -> None:
        self.stack = stack
        self._shop = shop
        self._client = client
        self._category: int | None = None
        self._admin: dict[str, str] = {}

    async def product(self, stock: int, price: int = 25_000) -> dict[str, Any]:
        """Make a product of its own for a test."""
        url = self.stack.layout.url("productfc")
        if self._category is None:
            self._admin = (await self._shop.login("admin")).headers
            answer = await self._client.post(
                f"{url}/v1/products/categories", headers=self._admin, json={"name": f"Tests {uuid4().hex[:8]}"}
            )
            answer.raise_for_status()
            self._category = answer.json()["id"]
        body = {"name": f"Thing {uuid4().hex[:10]}", "price": price, "stock": stock, "category_id": self._category}
        answer = await self._client.post(f"{url}/v1/products", headers=self._admin, json=body)
        answer.raise_for_status()
        return dict(answer.json())

    async def stock(self, product: dict[str, Any]) -> int:
        """Read the free stock of a product."""
        answer = await self._client.get(
            f"{self.stack.layout.url('productfc')}/v1/products", params={"ids": product["id"]}
        )
        answer.raise_for_status()
        return int(answer.json()["products"][0]["stock"])

    async def wait_stock(self, product: dict[str, Any], expected: int) -> None:
        """Wait until the free stock has a value."""

        async def reached() -> bool:
            return await self.stock(product) == expected

        await poll(reached, f"stock {expected} of product {product['id']}")

    def foreign_order_id(self) -> int:
        """Give an order id that no checkout gets."""
        return next(_foreign)

    @asynccontextmanager
    async def faults(self, switches: dict[str, Any]) -> AsyncIterator[None]:
        """Turn on faults of the payment provider for a while."""
        url = f"{self.stack.layout.url('xendit')}/_sim/faults"
        (await self._client.put(url, json=switches)).raise_for_status()
        try:
            yield
        finally:
            (await self._client.put(url, json=dict.fromkeys(switches))).raise_for_status()


@dataclass(frozen=True)
class Seen:
    """An event as it stood on a topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class Bus:
    """Reads what was published, publishes it again, and waits until everybody has consumed it."""

    def __init__(self, broker: str, producer: AIOKafkaProducer, admin: AIOKafkaAdminClient) -> None:
        self._broker = broker
        self._producer = producer
        self._admin = admin

    async def read(self, topic: str) -> list[Seen]:
        """Read a topic from its beginning to its present end."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._broker, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            partitions = await _partitions(self._admin, topic)
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            found: list[Seen] = []
            while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [Seen(r.topic, r.key, r.value, tuple(r.headers)) for r in records]
            return found
        finally:
            await consumer.stop()

    async def events_of(self, order: int) -> list[Seen]:
        """Read every event of an order."""
        found = [event for topic in TOPICS for event in await self.read(topic)]
        return [event for event in found if event.key == f"order-{order}".encode()]

    async def send(self, event: Seen, *, fresh_id: bool) -> None:
        """Publish an event again, with its own id or, as another producer, as the same business event under a new one."""
        if fresh_id:
            kept = [(name, value) for name, value in event.headers if name not in ("ce_id", "ce_source")]
            event = replace(event, headers=(*kept, ("ce_id", str(uuid4()).encode()), ("ce_source", b"another")))
        await self._producer.send_and_wait(event.topic, event.value, event.key, headers=list(event.headers))

    async def publish(self, topic: str, order: int, lines: list[tuple[int, int]]) -> None:
        """Publish a stock event as a Go producer would: no headers, and `qty` for the quantity."""
        value = {
            "order_id": order,
            "products": [{"product_id": product, "qty": quantity} for product, quantity in lines],
            "event_time": datetime.now(UTC).isoformat(),
        }
        await self.raw(topic, f"order-{order}".encode(), orjson.dumps(value))

    async def raw(self, topic: str, key: bytes, value: bytes) -> None:
        """Publish bytes."""
        await self._producer.send_and_wait(topic, value, key)

    async def dead_letter(self, topic: str, value: bytes) -> dict[str, str]:
        """Wait for a dead letter with this value and return its headers."""

        async def found() -> dict[str, str] | None:
            letters = [letter for letter in await self.read(f"{topic}.dlq") if letter.value == value]
            return {name: data.decode() for name, data in letters[-1].headers} if letters else None

        return dict(await poll(found, f"dead letter on {topic}.dlq", 30))

    async def consumed(self) -> None:
        """Wait until every group has committed everything that is on its topics now."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._broker, enable_auto_commit=False)
        await consumer.start()
        try:
            ends: dict[TopicPartition, int] = {}
            for topic in TOPICS:
                ends |= await consumer.end_offsets(await _partitions(self._admin, topic))

            async def caught_up() -> bool:
                done: dict[TopicPartition, list[int]] = {}
                for group in GROUPS:
                    for partition, state in (await self._admin.list_consumer_group_offsets(group)).items():
                        done.setdefault(partition, []).append(state.offset)
                return all(end == 0 or min(done.get(partition, [-1])) >= end for partition, end in ends.items())

            await poll(caught_up, "all groups catch up", 40)
        finally:
            await consumer.stop()


@asynccontextmanager
async def opened_bus(stack: Stack) -> AsyncIterator[Bus]:
    """Open the broker of a stack, past any proxy."""
    broker = f"127.0.0.1:{stack.layout.port('kafka')}"
    producer = AIOKafkaProducer(bootstrap_servers=broker, acks="all")
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await producer.start()
    await admin.start()
    try:
        yield Bus(broker, producer, admin)
    finally:
        await admin.close()
        await producer.stop()


async def _partitions(admin: AIOKafkaAdminClient, topic: str) -> list[TopicPartition]:
    [described] = await admin.describe_topics([topic])
    return sorted(TopicPartition(topic, item["partition"]) for item in described["partitions"])


@asynccontextmanager
async def killed_at(stack: Stack, service: str, line: str) -> AsyncIterator[None]:
    """Run a service in place of its supervised one so that it kills itself at a failpoint, then give it back.

    Leaving the block waits until the process has died of SIGKILL: a test that never reached the line fails.
    """
    supervisor = stack.supervisor
    await asyncio.to_thread(supervisor.stop, service)
    environment = {**os.environ, **stack.programs.environment(service), "FAILPOINTS": f"{line}=kill@1"}
    log = stack.home / "logs" / f"{service}-killed.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", service, "serve"], env=environment, stdout=output, stderr=output
        )
        try:
            await stack.ready(service)
            yield
            await poll(lambda: _ended(process), f"{service} dies at {line}", 30)
            assert process.returncode == -9, f"{service} ended with {process.returncode}, see {log}"
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            await asyncio.to_thread(supervisor.start, service)
            await stack.ready(service)


async def _ended(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None

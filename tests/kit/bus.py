"""Kafka as the tests of whole orders use it: read a topic, publish an event, wait until all groups have consumed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from chassis.events import Unreadable
from chassis.kafka.batches import make_consumer
from contracts.topics import CONSUMERS
from fc.audit.reading.broker import learn
from fc.demo.shop import poll
from fc.stack.local import Stack

TOPICS = tuple(CONSUMERS)
GROUPS = ("productfc", "orderfc", "paymentfc")


@dataclass(frozen=True)
class PublishedEvent:
    """A record of a topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class Bus:
    """Reads topics, publishes records, and waits until all consumer groups have caught up."""

    def __init__(self, broker: str, producer: AIOKafkaProducer, admin: AIOKafkaAdminClient) -> None:
        self._broker = broker
        self._producer = producer
        self._admin = admin

    async def read(self, topic: str) -> list[PublishedEvent]:
        """Read a topic from its beginning to its current end, without what can't be unpacked."""
        consumer = make_consumer(bootstrap_servers=self._broker, enable_auto_commit=False, auto_offset_reset="earliest")
        await consumer.start()
        try:
            partitions = await _partitions(self._admin, topic)
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            events: list[PublishedEvent] = []
            while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    readable = [record for record in records if not isinstance(record.value, Unreadable)]
                    events += [PublishedEvent(r.topic, r.key, r.value, tuple(r.headers)) for r in readable]
            return events
        finally:
            await consumer.stop()

    async def events_of(self, order: int) -> list[PublishedEvent]:
        events = [event for topic in TOPICS for event in await self.read(topic)]
        return [event for event in events if event.key == f"order-{order}".encode()]

    async def send(self, event: PublishedEvent, *, fresh_id: bool) -> None:
        """Publish an event again: as it is, or with a new id and another source."""
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
        await self._producer.send_and_wait(topic, value, key)

    async def dead_letter(self, topic: str, value: bytes) -> dict[str, str]:
        """Wait for a dead letter with this value and return its headers."""

        async def found() -> dict[str, str] | None:
            letters = [letter for letter in await self.read(f"{topic}.dlq") if letter.value == value]
            return {name: data.decode() for name, data in letters[-1].headers} if letters else None

        return dict(await poll(found, f"dead letter on {topic}.dlq", 30))

    async def consumed(self) -> None:
        """Wait until all groups have committed the current ends of their topics."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._broker, enable_auto_commit=False)
        await consumer.start()
        try:
            partitions = [each for topic in TOPICS for each in await _partitions(self._admin, topic)]
            learn(consumer, partitions)
            ends = await consumer.end_offsets(partitions)

            async def caught_up() -> bool:
                done: dict[TopicPartition, list[int]] = {}
                for group in GROUPS:
                    for partition, state in (await self._admin.list_consumer_group_offsets(group)).items():
                        done.setdefault(partition, []).append(state.offset)
                return all(end == 0 or min(done.get(partition, [-1])) >= end for partition, end in ends.items())

            await poll(caught_up, "all groups catch up", 40)
        finally:
            await consumer.stop()


def brokers_of(stack: Stack) -> str:
    """Return the addresses of a stack's brokers without the proxy."""
    return ",".join(f"127.0.0.1:{broker.port}" for broker in stack.programs.brokers)


@asynccontextmanager
async def opened_bus(stack: Stack) -> AsyncIterator[Bus]:
    """Connect to the brokers of a stack without the proxy."""
    broker = brokers_of(stack)
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

"""Kafka below the services: records on chosen partitions, offsets, and deleted consumer groups."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.partitioner import murmur2
from aiokafka.protocol.admin import DeleteGroupsRequest

from tests.chaos.kit.arena import Arena
from tests.kit.bus import brokers_of


@dataclass(frozen=True)
class Record:
    """A record to send; without `partition` the key decides, without `timestamp_ms` it is now."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None
    timestamp_ms: int | None = None


def broker(arena: Arena) -> str:
    """The addresses of the brokers without the proxy."""
    return brokers_of(arena.stack)


async def put(arena: Arena, records: Sequence[Record], producers: int = 1) -> None:
    """Send all records at the same time, spread over so many producers, and wait for their acknowledgements."""
    opened = [AIOKafkaProducer(bootstrap_servers=broker(arena), acks="all") for _ in range(producers)]
    await asyncio.gather(*(producer.start() for producer in opened))
    try:
        sends = [
            await opened[number % producers].send(
                record.topic, record.value, record.key, record.partition, record.timestamp_ms, list(record.headers)
            )
            for number, record in enumerate(records)
        ]
        await asyncio.gather(*sends)
    finally:
        await asyncio.gather(*(producer.stop() for producer in opened))


async def partitions(arena: Arena, topic: str) -> list[int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker(arena))
    await admin.start()
    try:
        [described] = await admin.describe_topics([topic])
        return sorted(item["partition"] for item in described["partitions"])
    finally:
        await admin.close()


async def committed(arena: Arena, group: str) -> dict[TopicPartition, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker(arena))
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(group)
        return {partition: state.offset for partition, state in found.items()}
    finally:
        await admin.close()


async def ends(arena: Arena, topic: str) -> dict[int, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker(arena), enable_auto_commit=False)
    await consumer.start()
    try:
        there = [TopicPartition(topic, number) for number in await partitions(arena, topic)]
        return {place.partition: end for place, end in (await consumer.end_offsets(there)).items()}
    finally:
        await consumer.stop()


async def delete_group(arena: Arena, group: str) -> None:
    """Delete a group with its offsets; its members must have left."""
    client = AIOKafkaClient(bootstrap_servers=broker(arena))
    await client.bootstrap()
    try:
        answer = await client.send(client.get_random_node(), DeleteGroupsRequest([group]))
        for name, code in answer.results:
            if code:
                raise for_code(code)(f"group {name}")
    finally:
        await client.close()
    assert await committed(arena, group) == {}


async def order_on_another_partition(arena: Arena, product: dict[str, Any], order: int) -> int:
    """Order until the stock.updated of a new order is on another partition than that of `order`."""
    count = len(await partitions(arena, "stock.updated"))

    def place(number: int) -> int:
        return int((murmur2(f"order-{number}".encode()) & 0x7FFFFFFF) % count)

    while True:
        other = await arena.alice.checkout(product, 1)
        if place(other) != place(order):
            return other

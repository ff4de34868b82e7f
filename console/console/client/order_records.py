"""The records about one order, on the topics of the saga and their dead letter topics."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from chassis.events import Message
from chassis.kafka.topic_settings import DLQ_SUFFIX, dlq
from console.client.backlog import Offsets, committed_offsets
from console.client.kafka import KafkaReader, learn
from console.model.facts import Record
from console.model.keys import time_of
from console.model.saga import PRODUCERS

# The most records that are read in each partition, and the longest time for all of them.
MAX_RECORDS = 20_000
MAX_READ_S = 1.0
POLL_MS = 100
# The clocks of database and broker differ by less.
SLACK = timedelta(seconds=5)


class OrderRecords(KafkaReader):
    """The records about one order."""

    async def of_order(self, order_id: int, since: datetime) -> tuple[list[Record], bool]:
        """Return the records about an order since it was placed, and whether all were read. Raises NoAnswer.

        Each topic has them in one partition, that of the order's key. Those that were written before a topic got more
        partitions are not found.
        """
        async with self.turn() as (consumer, admin):
            return await _read(consumer, admin, f"order-{order_id}".encode(), since - SLACK)


async def _read(
    consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, key: bytes, since: datetime
) -> tuple[list[Record], bool]:
    places = await partitions_of(admin, key)
    learn(consumer, places)
    ends, done = await asyncio.gather(consumer.end_offsets(places), _done(admin))
    begins = await consumer.offsets_for_times({place: int(since.timestamp() * 1000) for place in places})
    starts = {place: found.offset for place, found in begins.items() if found and found.offset < ends[place]}
    consumer.assign(list(starts))
    for place, start in starts.items():
        consumer.seek(place, start)
    last = {place: min(ends[place], start + MAX_RECORDS) for place, start in starts.items()}
    found: list[Record] = []
    left, deadline = set(starts), time.monotonic() + MAX_READ_S
    while left and time.monotonic() < deadline:
        for records in (await consumer.getmany(*left, timeout_ms=POLL_MS)).values():
            found += [_record(record, done) for record in records if record.key == key]
        left = {place for place in left if await consumer.position(place) < last[place]}
    return found, not left and all(last[place] == ends[place] for place in starts)


async def partitions_of(admin: AIOKafkaAdminClient, key: bytes) -> list[TopicPartition]:
    """Return the partition of the key in each topic that exists."""
    topics = [name for topic in PRODUCERS for name in (topic, dlq(topic))]
    number = murmur2(key) & 0x7FFFFFFF
    described: Iterable[dict[str, Any]] = await admin.describe_topics(topics)
    return [
        TopicPartition(topic["topic"], number % len(topic["partitions"]))
        for topic in described
        if not topic["error_code"] and topic["partitions"]
    ]


async def _done(admin: AIOKafkaAdminClient) -> Mapping[str, Offsets]:
    """Return what each group has committed; nothing while a broker looks for a group's coordinator."""
    try:
        return await committed_offsets(admin)
    except KafkaError:
        return {}


def _record(record: Any, done: Mapping[str, Offsets]) -> Record:
    headers = [(name, value or b"") for name, value in record.headers]
    named = {name.lower(): value.decode("utf-8", "replace") for name, value in headers}
    topic: str = record.topic.removesuffix(DLQ_SUFFIX)
    if record.topic != topic and not named.get("ce_id") and named.get("x-event-id"):
        # A letter keeps the id that its message had at its place.
        headers.append(("ce_id", named["x-event-id"].encode()))
    message = Message.received(
        topic, record.partition, record.offset, record.key, record.value, headers, record.timestamp
    )
    committed = None
    with suppress(ValueError, OverflowError):
        committed = datetime.fromisoformat(named.get("ce_time", "")).astimezone(UTC)
    is_letter, place = record.topic != topic, TopicPartition(record.topic, record.partition)
    return Record(
        topic,
        message.event_id,
        message.identity,
        record.partition,
        record.offset,
        committed,
        time_of(record),
        named.get("x-reason", "unknown") if is_letter else None,
        named.get("x-error") if is_letter else None,
        named.get("x-handler") if is_letter else None,
        frozenset(group for group in done if record.offset < done[group].get(place, 0)),
    )

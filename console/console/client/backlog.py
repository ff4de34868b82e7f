"""What the consumers of the platform have not done yet: the events behind the offsets that their groups committed."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from chassis.events import Message, Unreadable
from console.client.kafka import KafkaReader, learn
from console.model.keys import time_of
from console.model.saga import CONSUMERS, SERVICES

# The most records of each partition; the oldest are read.
MAX_RECORDS = 200
POLL_MS = 100

Offsets = Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that the group of a consumer has not committed: it may have applied it all the same."""

    consumer: str
    topic: str
    key: str
    identity: UUID
    published_at: datetime


@dataclass(frozen=True, slots=True)
class Behind:
    """The oldest events that are not committed, and how many more there are."""

    events: tuple[Pending, ...]
    more: int


class Backlog:
    """Reads what is behind the committed offsets. Raises NoAnswer when Kafka does not answer in time."""

    def __init__(self, kafka: KafkaReader) -> None:
        self._kafka = kafka

    async def read(self) -> Behind:
        async with self._kafka.turn() as (consumer, admin):
            committed, places = await asyncio.gather(committed_offsets(admin), _places(admin))
            learn(consumer, places)
            begins, ends = await asyncio.gather(consumer.beginning_offsets(places), consumer.end_offsets(places))
            starts = {
                (group, place): max(committed[group].get(place, 0), begins[place])
                for place in places
                for group in CONSUMERS[place.topic]
            }
            first = {place: min(starts[group, place] for group in CONSUMERS[place.topic]) for place in places}
            last = {place: min(ends[place], first[place] + MAX_RECORDS) for place in places}
            records = await _records(consumer, first, last)
        behind = sum(max(ends[place] - start, 0) for (_, place), start in starts.items())
        events = [
            _pending(record, group)
            for record in records
            for group in CONSUMERS[record.topic]
            if record.offset >= starts[group, TopicPartition(record.topic, record.partition)]
        ]
        return Behind(tuple(sorted(events, key=lambda event: event.published_at)), behind - len(events))


async def committed_offsets(admin: AIOKafkaAdminClient) -> dict[str, Offsets]:
    """Return the committed offset of each partition, by group."""
    answers = await asyncio.gather(*(admin.list_consumer_group_offsets(group) for group in SERVICES))
    return {
        group: {place: found.offset for place, found in answer.items()}
        for group, answer in zip(SERVICES, answers, strict=True)
    }


async def _places(admin: AIOKafkaAdminClient) -> list[TopicPartition]:
    described: Iterable[dict[str, Any]] = await admin.describe_topics(list(CONSUMERS))
    return [
        TopicPartition(topic["topic"], item["partition"])
        for topic in described
        if not topic["error_code"]
        for item in topic["partitions"]
    ]


async def _records(consumer: AIOKafkaConsumer, first: Offsets, last: Offsets) -> list[Any]:
    """Read from `first` up to `last`; the turn ends it in time."""
    open_ = {place for place in first if first[place] < last[place]}
    consumer.assign(list(open_))
    for place in open_:
        consumer.seek(place, first[place])
    found: list[Any] = []
    while open_:
        for place, records in (await consumer.getmany(*open_, timeout_ms=POLL_MS)).items():
            found += [record for record in records if record.offset < last[place]]
        open_ = {place for place in open_ if await consumer.position(place) < last[place]}
    return found


def _pending(record: Any, consumer: str) -> Pending:
    key = (record.key or b"").decode("utf-8", "replace")
    return Pending(consumer, record.topic, key, _message(record).identity, time_of(record))


def _message(record: Any) -> Message:
    if isinstance(record.value, Unreadable):
        return Message.unpackable(record.topic, record.partition, record.value)
    headers = [(name, value or b"") for name, value in record.headers]
    return Message.received(
        record.topic, record.partition, record.offset, record.key, record.value, headers, record.timestamp
    )

"""Kafka for operators: topics read without a group, single records, acknowledged sends."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from console.client.admin_api import NoAnswer
from console.client.kafka_clients import SEND_S, KafkaClients

POLL_MS = 1_000
BATCH = 1_000
# A partition with more records that returns none in so many polls does not answer.
SILENT_POLLS = 15

Headers = Sequence[tuple[str, bytes]]
Offsets = Mapping[TopicPartition, int]
Batch = tuple[TopicPartition, list[Any], int]


class KafkaRecords(KafkaClients):
    """A connection that commits no offset. One caller at a time may read. Every call raises NoAnswer."""

    async def partitions(self, *topics: str) -> list[TopicPartition]:
        """Return the partitions of topics, in order; a topic that does not exist has none."""
        return sorted(
            TopicPartition(name, item["partition"])
            for name, described in (await self._described(topics)).items()
            for item in described["partitions"]
        )

    async def bounds(self, partitions: list[TopicPartition]) -> tuple[Offsets, Offsets]:
        """Return where partitions begin and end now."""
        if not partitions:
            return {}, {}
        consumer, _ = await self._readers()
        with self._failures():
            if any(consumer.partitions_for_topic(each.topic) is None for each in partitions):
                # It learns the leaders of all topics at once; the questions would do it topic by topic, 0.1 s each.
                consumer.assign(partitions)
                consumer.pause(*partitions)
            return await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)

    async def records(self, starts: Offsets, ends: Offsets, deadline: float | None = None) -> AsyncIterator[Batch]:
        """Yield the records of partitions from `starts` to `ends`, each time with the offset that is read next.

        It stops at the deadline, in time.monotonic(), also when not everything is read; but some is read each time.
        """
        open_ = {partition for partition, start in starts.items() if start < ends[partition]}
        if not open_:
            return
        consumer, _ = await self._readers()
        with self._failures():
            consumer.assign(list(open_))
            for partition in open_:
                consumer.seek(partition, starts[partition])
            while True:
                for partition, records in (await self._next(consumer, open_, ends)).items():
                    read_to = await consumer.position(partition)
                    yield partition, [record for record in records if record.offset < ends[partition]], read_to
                open_ = await _unread(consumer, open_, ends)
                if not open_ or (deadline is not None and time.monotonic() >= deadline):
                    return

    async def read(self, topic: str) -> list[Any]:
        """Return all records that are on a topic now, by partition and offset; none for a topic that does not exist."""
        begins, ends = await self.bounds(await self.partitions(topic))
        result = [record async for _, records, _ in self.records(begins, ends) for record in records]
        return sorted(result, key=lambda record: (record.partition, record.offset))

    async def record(self, place: TopicPartition, offset: int) -> Any | None:
        """Return the record at an offset of a partition, or None if there is no record at it."""
        batches = [records async for _, records, _ in self.records({place: offset}, {place: offset + 1})]
        return next((record for records in batches for record in records if record.offset == offset), None)

    async def make(self, topic: str, like: str, configs: dict[str, str]) -> None:
        """Create a topic with one partition and as many replicas as another topic has, unless it exists."""
        described = await self._described((topic, like))
        if topic in described:
            return
        replicas = len(described[like]["partitions"][0]["replicas"]) if like in described else 1
        _, admin = await self._readers()
        with self._failures():
            answer = await admin.create_topics([NewTopic(topic, 1, replicas, topic_configs=configs)])
            for _, code, *_ in answer.topic_errors:
                if code and for_code(code) is not TopicAlreadyExistsError:
                    raise for_code(code)(f"topic {topic}")

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> int:
        """Send one record, wait at most SEND_S until all replicas have it, and return its offset.

        Raises Invalid when Kafka does not take this record.
        """
        with self._failures():
            async with asyncio.timeout(SEND_S):
                return await self._written(topic, value, key, list(headers))

    async def _described(self, topics: Iterable[str]) -> dict[str, Any]:
        """Return what the broker says of each topic that exists."""
        found = {}
        _, admin = await self._readers()
        with self._failures():
            for described in await admin.describe_topics(list(topics)):
                code = described["error_code"]
                if not code:
                    found[described["topic"]] = described
                elif for_code(code) is not UnknownTopicOrPartitionError:
                    raise for_code(code)(f"topic {described['topic']}")
        return found

    async def _next(
        self, consumer: AIOKafkaConsumer, partitions: set[TopicPartition], ends: Offsets
    ) -> dict[TopicPartition, list[Any]]:
        """Return the next records; none when a partition has only what is no record, such as a transaction's marker."""
        for _ in range(SILENT_POLLS):
            if records := await consumer.getmany(*partitions, timeout_ms=POLL_MS, max_records=BATCH):
                return dict(records)
            if await _unread(consumer, partitions, ends) != partitions:
                return {}
        raise NoAnswer(f"no records of {min(partitions).topic}")


async def _unread(consumer: AIOKafkaConsumer, partitions: set[TopicPartition], ends: Offsets) -> set[TopicPartition]:
    return {partition for partition in partitions if await consumer.position(partition) < ends[partition]}

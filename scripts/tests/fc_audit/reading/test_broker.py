"""Partitions that have offsets and no record for a reader, as after an aborted transaction, are read to their end."""

from collections.abc import Iterable
from typing import Any

import pytest
from aiokafka import TopicPartition

from chassis.kafka.topics import dlq
from contracts.topics import PRODUCERS
from fc.audit.reading.broker import Broker
from fc.audit.reading.spill import Spill
from fc.audit.watch import Unwatched
from fc.ops.kafka_records import KafkaRecords

END = 3


class Consumer:
    """A consumer whose partitions end at 3: the first poll passes all offsets and returns no record."""

    def __init__(self) -> None:
        self.at = 0
        self.known: set[TopicPartition] = set()

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0}

    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, END)

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        self.at, self.known = 0, {*partitions}

    def pause(self, *_partitions: TopicPartition) -> None:
        pass

    def seek(self, _partition: TopicPartition, offset: int) -> None:
        self.at = offset

    async def getmany(self, *_partitions: TopicPartition, timeout_ms: int, max_records: int) -> dict[Any, Any]:
        assert timeout_ms
        assert max_records
        self.at = END
        return {}

    async def position(self, _partition: TopicPartition) -> int:
        return self.at


class Admin:
    """An admin client that knows every topic, with one partition each."""

    async def describe_topics(self, topics: list[str]) -> list[dict[str, Any]]:
        return [{"topic": topic, "error_code": 0, "partitions": [{"partition": 0}]} for topic in topics]


@pytest.fixture
def clients() -> tuple[Any, Any]:
    return Consumer(), Admin()


async def test_the_audit_has_all_leaders_asked_for_before_it_asks_for_offsets(clients: tuple[Any, Any]) -> None:
    class Slow(Consumer):
        async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
            assert {*partitions} <= self.known, "aiokafka would ask topic by topic"
            return await super().beginning_offsets(partitions)

    await Broker("here", Slow(), clients[1]).scan(Spill(), {}, Unwatched())


async def test_the_audit_reads_a_partition_without_a_record(clients: tuple[Any, Any]) -> None:
    scan = await Broker("here", *clients).scan(Spill(), {}, Unwatched())
    assert (scan.unreadable, scan.waiting) == ([], {})


async def test_dead_letters_are_read_from_a_partition_without_a_record(clients: tuple[Any, Any]) -> None:
    class Connected(KafkaRecords):
        async def _readers(self) -> tuple[Any, Any]:
            return clients

    topic = dlq(next(iter(PRODUCERS)))
    assert await Connected("here").read(topic) == []
    assert await Connected("here").record(TopicPartition(topic, 0), 1) is None

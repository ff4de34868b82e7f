"""It asks for all leaders at once, reads at least one batch, rests, and replaces a producer that has died."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from chassis.errors import Invalid
from console.client import kafka_clients, kafka_records
from console.client.admin_api import NoAnswer
from console.client.kafka_records import KafkaRecords

PLACES = [TopicPartition("a", 0), TopicPartition("b", 0)]


class Consumer:
    """Each partition has two records, of which one poll returns one."""

    def __init__(self) -> None:
        self.assigned: list[list[TopicPartition]] = []
        self.paused: list[TopicPartition] = []
        self.known: set[str] = set()
        self.positions: dict[TopicPartition, int] = {}

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned.append(sorted(partitions))
        self.known |= {each.topic for each in partitions}

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused += partitions

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return {0} if topic in self.known else None

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        return self.positions[partition]

    async def getmany(self, *partitions: TopicPartition, **_options: int) -> dict[TopicPartition, list[Any]]:
        first = min(partitions)
        self.positions[first] += 1
        return {first: [SimpleNamespace(offset=self.positions[first] - 1)]}

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 2)


async def reading(consumer: Consumer) -> KafkaRecords:
    async def connected() -> Any:
        return consumer, None

    opened = KafkaRecords("test")
    opened._connecting = asyncio.create_task(connected())
    await opened.connect()
    return opened


async def test_the_leaders_of_all_topics_are_learnt_at_once_and_only_when_one_is_unknown() -> None:
    consumer = Consumer()
    opened = await reading(consumer)
    for _ in range(2):
        assert (await opened.bounds(PLACES))[1] == dict.fromkeys(PLACES, 2)
    assert (consumer.assigned, consumer.paused) == ([PLACES], PLACES)


async def test_also_after_the_deadline_one_batch_is_read() -> None:
    opened = await reading(Consumer())
    starts, ends = await opened.bounds(PLACES)
    assert [batch async for batch in opened.records(starts, ends, time.monotonic() - 1)] == [
        (PLACES[0], [SimpleNamespace(offset=0)], 1)
    ]
    assert len([batch async for batch in opened.records(starts, ends)]) == 4


async def test_a_connection_that_rests_fetches_nothing() -> None:
    consumer = Consumer()
    opened = await reading(consumer)
    opened.rest()
    assert consumer.assigned == [[]]
    KafkaRecords("test").rest()


class Producer:
    """Fails with an error, or never answers, and never stops."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def start(self) -> None:
        """Connects at once."""

    async def stop(self) -> None:
        await asyncio.Event().wait()

    async def send_and_wait(self, *_record: Any, **_options: Any) -> Any:
        if self.error is not None:
            raise self.error
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("error", "raised", "made"),
    [
        (KafkaError("Unexpected error in batch delivery"), NoAnswer, 2),
        (KafkaTimeoutError(), NoAnswer, 1),
        (MessageSizeTooLargeError("too large"), Invalid, 1),
        (None, NoAnswer, 1),
    ],
)
async def test_a_producer_whose_sender_has_died_is_replaced_and_no_other(
    error: Exception | None, raised: type[Exception], made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    producers: list[Producer] = []

    def another(_connection: Any) -> Producer:
        producers.append(Producer(error))
        return producers[-1]

    monkeypatch.setattr(kafka_clients, "_producer", another)
    monkeypatch.setattr(kafka_clients, "STOP_S", 0.01)
    monkeypatch.setattr(kafka_records, "SEND_S", 0.1)
    opened = KafkaRecords("test")
    for _ in range(2):
        with pytest.raises(raised):
            await opened.send("a", None, b"1")
    assert len(producers) == made

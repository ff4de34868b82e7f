"""A partition worker with a consumer made of lists and a producer that keeps what is sent."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
)
from prometheus_client import REGISTRY
from structlog.contextvars import get_contextvars

from chassis.events import Message
from chassis.kafka.consumed import consumed
from chassis.kafka.handling import BatchHandler
from chassis.kafka.partition import PartitionWorker
from chassis.kafka.producer import Place
from chassis.loops import wait_any
from testkit import eventually

TP = TopicPartition("stock.updated", 0)
METRICS = consumed(TP.topic, "test")


class Record:
    """The fields of an aiokafka record that the worker reads."""

    def __init__(self, offset: int, key: str | None, value: Any = b"{}") -> None:
        self.topic, self.partition, self.offset = TP.topic, TP.partition, offset
        self.key, self.value, self.timestamp = key.encode() if key is not None else None, value, 0
        self.headers: tuple[tuple[str, bytes], ...] = (("ce_id", f"00000000-0000-7000-8000-{offset:012d}".encode()),)


class FakeConsumer:
    """Hands out records once, remembers commits, and can refuse them. `markers` is its position behind the records."""

    def __init__(self, records: list[Record], fetch_size: int = 1000) -> None:
        self.records = records
        self._fetch_size = fetch_size
        self.commits: list[int] = []
        self.commit_error: Exception | None = None
        self.fetch_error: Exception | None = None
        self.markers = 0
        self.fetches = 0

    async def getmany(self, *_partitions: TopicPartition, timeout_ms: int, max_records: int) -> dict[Any, Any]:
        self.fetches += 1
        if self.fetch_error:
            error, self.fetch_error = self.fetch_error, None
            raise error
        if not self.records:
            await wait_any(timeout_ms / 1000, asyncio.Event())
            return {}
        count = min(max_records, self._fetch_size)
        batch, self.records = self.records[:count], self.records[count:]
        return {TP: batch}

    async def position(self, _partition: TopicPartition) -> int:
        return self.markers

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.commit_error:
            raise self.commit_error
        self.commits.append(offsets[TP])

    def assignment(self) -> set[TopicPartition]:
        return {TP}

    def highwater(self, _partition: TopicPartition) -> int:
        return 0


class FakeProducer:
    """Keeps what was sent; fails as often as told."""

    def __init__(self, failures: int = 0) -> None:
        self.sent: list[tuple[str, bytes | None, bytes | None, dict[str, str]]] = []
        self.contexts: list[dict[str, Any]] = []
        self.failures = failures

    async def send(self, topic: str, value: bytes | None, key: bytes | None, headers: Any) -> Place:
        if self.failures:
            self.failures -= 1
            raise KafkaConnectionError("no broker")
        self.contexts.append(get_contextvars())
        self.sent.append((topic, value, key, {name: data.decode() for name, data in headers}))
        return Place(0, 0)


class Running:
    """A started worker with its fakes and the order in which messages were handled.

    `handle` gets a message and the number of the try. `runs` counts the tries of single messages. With `in_runs` the
    handler also has the form for several messages, which handles all or none; `tried_together` has their offsets.
    """

    in_runs = False

    def __init__(self, records: list[Record], handle: Callable[[Message, int], None], **options: Any) -> None:
        self.consumer = FakeConsumer(records, options.pop("fetch_size", 1000))
        self.producer = options.pop("producer", FakeProducer())
        self.handled: list[int] = []
        self.runs: dict[int, int] = {}
        self.tried_together: list[list[int]] = []
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def handler(message: Message) -> None:
            self.runs[message.offset] = self.runs.get(message.offset, 0) + 1
            handle(message, self.runs[message.offset])
            self.handled.append(message.offset)

        async def many(messages: Sequence[Message]) -> None:
            self.tried_together.append([message.offset for message in messages])
            for message in messages:
                handle(message, self.runs.get(message.offset, 0) + 1)
            self.handled += self.tried_together[-1]

        form = BatchHandler(handler, many) if options.pop("in_runs", self.in_runs) else handler
        self.worker = PartitionWorker(self.consumer, TP, form, self.producer, max_tries=3, metrics=METRICS, **options)
        self.worker.start(self.failed)

    async def committed(self, offset: int) -> None:
        await eventually(lambda: self.consumer.commits and self.consumer.commits[-1] == offset)
        await self.worker.drain(2)


async def nothing(_message: Message) -> None:
    """Be done at once."""


def records(count: int, first: int = 1) -> list[Record]:
    """Make records that follow each other, each with a key of its own."""
    return [Record(offset, f"order-{offset}") for offset in range(first, first + count)]


def applying(
    many: Callable[[Sequence[Message]], Awaitable[None]], given: list[Record]
) -> tuple[PartitionWorker, FakeConsumer]:
    """Start a worker whose handler has `many` as its form for several messages."""
    consumer = FakeConsumer(given)
    producer: Any = FakeProducer()
    worker = PartitionWorker(
        cast("Any", consumer),
        TP,
        BatchHandler(nothing, many),
        producer,
        max_tries=3,
        metrics=METRICS,
    )
    worker.start(asyncio.get_running_loop().create_future())
    return worker, consumer


def runs(outcome: str) -> float:
    """Return how many runs have ended so."""
    return REGISTRY.get_sample_value("gocommerce_consumer_runs_total", {"topic": TP.topic, "outcome": outcome}) or 0.0


def measured(metric: str, error_type: str = "") -> float:
    """Read a metric of the consumer's messages."""
    labels = {"messaging_destination_name": TP.topic, "messaging_consumer_group_name": "test"}
    return REGISTRY.get_sample_value(metric, {**labels, "error_type": error_type}) or 0.0

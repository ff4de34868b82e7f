"""A partition worker with a consumer made of lists and a producer that keeps what is sent."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
)
from structlog.contextvars import get_contextvars

from chassis.events import Message
from chassis.kafka.partition import PartitionWorker
from chassis.loops import wait_any
from testkit import eventually

TP = TopicPartition("stock.updated", 0)


class Record:
    """The fields of an aiokafka record that the worker reads."""

    def __init__(self, offset: int, key: str | None, value: Any = b"{}") -> None:
        self.topic, self.partition, self.offset = TP.topic, TP.partition, offset
        self.key, self.value, self.timestamp = key.encode() if key is not None else None, value, 0
        self.headers = (("ce_id", f"00000000-0000-7000-8000-{offset:012d}".encode()),)


class FakeConsumer:
    """Hands out records once, remembers commits, and can refuse them. `markers` is its position behind the records."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records
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
        batch, self.records = self.records[:max_records], self.records[max_records:]
        return {TP: batch}

    async def position(self, _partition: TopicPartition) -> int:
        return self.markers

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.commit_error:
            raise self.commit_error
        self.commits.append(offsets[TP])

    def highwater(self, _partition: TopicPartition) -> int:
        return 0


class FakeProducer:
    """Keeps what was sent; fails as often as told."""

    def __init__(self, failures: int = 0) -> None:
        self.sent: list[tuple[str, bytes | None, bytes | None, dict[str, str]]] = []
        self.contexts: list[dict[str, Any]] = []
        self.failures = failures

    async def send(self, topic: str, value: bytes | None, key: bytes | None, headers: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise KafkaConnectionError("no broker")
        self.contexts.append(get_contextvars())
        self.sent.append((topic, value, key, {name: data.decode() for name, data in headers}))


class Running:
    """A started worker with its fakes and the order in which messages were handled."""

    def __init__(self, records: list[Record], handle: Callable[[Message, int], None], **options: Any) -> None:
        self.consumer, self.producer = FakeConsumer(records), options.pop("producer", FakeProducer())
        self.handled: list[int] = []
        self.runs: dict[int, int] = {}
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def handler(message: Message) -> None:
            self.runs[message.offset] = self.runs.get(message.offset, 0) + 1
            handle(message, self.runs[message.offset])
            self.handled.append(message.offset)

        self.worker = PartitionWorker(
            self.consumer, TP, handler, self.producer, max_tries=3, handler_name="test", **options
        )
        self.worker.start(self.failed)

    async def committed(self, offset: int) -> None:
        await eventually(lambda: self.consumer.commits and self.consumer.commits[-1] == offset)
        await self.worker.drain(2)


async def nothing(_message: Message) -> None:
    """Be done at once."""

"""Kafka in memory, at the port of the console's `KafkaRecords`."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiokafka import TopicPartition

from console.client.admin_api import NoAnswer
from console.client.kafka_records import Batch, Headers, KafkaRecords, Offsets

NOW = datetime(2026, 11, 25, 14, 2, 11, tzinfo=UTC)


@dataclass(frozen=True)
class Kept:
    """A record, with the attributes of aiokafka's that are read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: Any
    headers: Sequence[tuple[str, bytes]]
    timestamp: int


@dataclass
class MemoryKafka(KafkaRecords):
    """Topics of one partition each; `fails` says of which calls nothing comes back, `reads` counts records.

    A read returns at most `batch` records at a time; with a deadline that is over it ends after the first ones.
    """

    topics: dict[str, list[Kept]] = field(default_factory=lambda: defaultdict(list))
    fails: set[str] = field(default_factory=set)
    reads: int = 0
    batch: int = 100_000

    def __post_init__(self) -> None:
        super().__init__("test", bootstrap_servers="nowhere:1")

    def _called(self, name: str) -> None:
        if name in self.fails:
            raise NoAnswer(f"{name}: KafkaConnectionError")

    async def partitions(self, *topics: str) -> list[TopicPartition]:
        self._called("partitions")
        await asyncio.sleep(0)
        return [TopicPartition(topic, 0) for topic in sorted(topics) if topic in self.topics]

    async def bounds(self, partitions: list[TopicPartition]) -> tuple[Offsets, Offsets]:
        await asyncio.sleep(0)
        return dict.fromkeys(partitions, 0), {each: len(self.topics[each.topic]) for each in partitions}

    async def records(self, starts: Offsets, ends: Offsets, deadline: float | None = None) -> AsyncIterator[Batch]:
        self._called("records")
        for partition, start in starts.items():
            await asyncio.sleep(0)
            for first in range(start, ends[partition], self.batch):
                read_to = min(first + self.batch, ends[partition])
                records = self.topics[partition.topic][first:read_to]
                self.reads += len(records)
                yield partition, list(records), read_to
                if deadline is not None and time.monotonic() >= deadline:
                    return

    async def make(self, topic: str, like: str, configs: dict[str, str]) -> None:
        self.topics[topic]

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> int:
        await asyncio.sleep(0)
        self._called("send")
        self._called(f"send {topic}")
        return self.put(topic, key, value, headers)

    def put(self, topic: str, key: bytes | None, value: Any, headers: Headers = ()) -> int:
        offset = len(self.topics[topic])
        at = int(NOW.timestamp() * 1000) + offset
        self.topics[topic].append(Kept(topic, 0, offset, key, value, list(headers), at))
        return offset

    def letter(self, order: int, topic: str = "payment.success", value: bytes | None = None, **headers: str) -> str:
        """Put a dead letter, and return its name in the console's addresses."""
        named = {
            "ce_id": f"00000000-0000-4000-8000-{order:012}",
            "ce_source": "paymentfc",
            "x-reason": "not_yet",
            "x-error": f"order {order} is not known",
            "x-source-topic": topic,
            "x-source-partition": "3",
            "x-source-offset": str(order),
            "x-handler": f"orderfc.{topic}",
            "x-attempts": "12",
            "x-failed-at": "2026-11-25T14:02:11Z",
        } | {name.replace("_", "-") if name.startswith("x") else name: text for name, text in headers.items()}
        content = (
            value if value is not None else b'{"order_id": %d, "status": "PAID", "topic": "payment.success"}' % order
        )
        offset = self.put(
            f"{topic}.dlq", f"order-{order}".encode(), content, [(name, text.encode()) for name, text in named.items()]
        )
        return f"{topic}/0:{offset}"

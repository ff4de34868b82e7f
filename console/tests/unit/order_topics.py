"""The topics of orders in memory, as consumer and admin client of the console see them."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from console.client.order_records import OrderRecords, partitions_of
from console.model.facts import CLOCK_SKEW

from .kafka import Kept

BEGIN = datetime(2026, 11, 25, 14, tzinfo=UTC)
TOPICS = ("order.created", "payment.success", "payment.success.dlq")


def at_ms(second: int) -> int:
    return int((BEGIN + timedelta(seconds=second)).timestamp() * 1000)


@dataclass
class Cluster:
    """Topics as consumer and admin client see them. `batch` is the most records of one fetch, `read` all that were.

    `late` is written during the next fetch.
    """

    partitions: int = 1
    batch: int = 3
    kept: dict[TopicPartition, list[Kept]] = field(default_factory=lambda: defaultdict(list))
    committed: dict[TopicPartition, Any] = field(default_factory=dict)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    assigned: list[TopicPartition] = field(default_factory=list)
    read: int = 0
    fails_after: int | None = None
    late: tuple[str, int] | None = None
    second: int = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[tuple[Any, Any]]:
        yield self, self

    async def write(self, topic: str, order: int) -> Kept:
        """Write a record of an order as its producer does: into the partition of its key."""
        key = f"order-{order}".encode()
        [place] = [each for each in await partitions_of(self, key) if each.topic == topic]
        self.second += 1
        records = self.kept[place]
        headers = [("ce_id", f"00000000-0000-4000-8000-{self.second:012}".encode())]
        headers += [("x-reason", b"not_yet")] if topic.endswith(".dlq") else []
        records.append(Kept(topic, place.partition, len(records), key, b"{}", headers, at_ms(self.second)))
        return records[-1]

    async def describe_topics(self, topics: list[str]) -> list[dict[str, Any]]:
        parts = [{"partition": number} for number in range(self.partitions)]
        return [{"topic": name, "error_code": 0, "partitions": parts} for name in topics if name in TOPICS]

    async def list_consumer_group_offsets(self, _group: str) -> dict[TopicPartition, Any]:
        return self.committed

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0}

    def assign(self, places: list[TopicPartition]) -> None:
        self.assigned, self.positions = places, {}

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.positions[place] = offset

    async def position(self, place: TopicPartition) -> int:
        return self.positions[place]

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: len(self.kept[place]) for place in places}

    async def offsets_for_times(self, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, Any]:
        found = {}
        for place, moment in times.items():
            offsets = [record.offset for record in self.kept[place] if record.timestamp >= moment]
            found[place] = SimpleNamespace(offset=offsets[0]) if offsets else None
        return found

    async def getmany(self, *places: TopicPartition, timeout_ms: int) -> dict[TopicPartition, list[Kept]]:
        if self.late is not None:
            (topic, order), self.late = self.late, None
            await self.write(topic, order)
        found = {}
        for place in places:
            if self.fails_after is not None and self.read >= self.fails_after:
                self.fails_after = None
                raise KafkaConnectionError
            found[place] = self.kept[place][self.positions[place] :][: self.batch]
            self.positions[place] += len(found[place])
            self.read += len(found[place])
        return found


def reader(cluster: Cluster) -> OrderRecords:
    opened = OrderRecords()
    opened.turn = cluster.turn  # type: ignore[method-assign]
    return opened


async def look(opened: OrderRecords, order: int, second: int = 0) -> tuple[list[str], bool]:
    """Return the ids of an order's records, as they were read."""
    found, all_read = await opened.of_order(order, BEGIN + timedelta(seconds=second) + CLOCK_SKEW)
    return [record.event_id for record in found], all_read


def ids(records: list[Kept]) -> list[str]:
    return [value.decode() for record in records for name, value in record.headers if name == "ce_id"]

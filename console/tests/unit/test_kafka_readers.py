"""What is read from Kafka, whatever stands there: parts of records, records without content, times that are none."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from chassis.events import Unreadable
from console.client import order_records
from console.client.admin_api import NoAnswer
from console.client.backlog import Backlog
from console.client.kafka_clients import KafkaClients, Readers
from console.client.order_records import OrderRecords
from console.client.topics import Topics

from .kafka import Kept

SINCE = datetime(2026, 11, 25, 14, tzinfo=UTC)
EPOCH = datetime.fromtimestamp(0, UTC)
NO_TIME = 10**17
CREATED = TopicPartition("order.created", 0)


def kept(offset: int, key: bytes | None = b"order-42", value: Any = b"{}", **fields: Any) -> Kept:
    values = {"headers": (), "timestamp": int(SINCE.timestamp() * 1000), **fields}
    return Kept("order.created", 0, offset, key, value, **values)


@dataclass
class Broker:
    """One topic of one partition, as consumer and admin client; `silent` has it return no records."""

    kept: list[Kept]
    silent: bool = False
    positions: dict[TopicPartition, int] = field(default_factory=lambda: defaultdict(int))

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[tuple[Any, Any]]:
        yield self, self

    async def describe_topics(self, topics: list[str]) -> list[dict[str, Any]]:
        found = [topic for topic in topics if topic == "order.created"]
        return [{"topic": topic, "error_code": 0, "partitions": [{"partition": 0}]} for topic in found]

    async def list_consumer_group_offsets(self, _group: str) -> dict[TopicPartition, Any]:
        return {}

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0}

    def assign(self, places: list[TopicPartition]) -> None:
        pass

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.positions[place] = offset

    async def position(self, place: TopicPartition) -> int:
        return self.positions[place]

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, len(self.kept))

    async def offsets_for_times(self, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, Any]:
        return {place: SimpleNamespace(offset=0) if self.kept else None for place in times}

    async def getmany(self, *places: TopicPartition, timeout_ms: int) -> dict[TopicPartition, list[Kept]]:
        await asyncio.sleep(timeout_ms / 1000 if self.silent else 0)
        found = {} if self.silent else {place: self.kept[self.positions[place] :][:2] for place in places}
        for place, records in found.items():
            self.positions[place] += len(records)
        return found


def reader(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> OrderRecords:
    opened = OrderRecords()
    monkeypatch.setattr(opened, "turn", broker.turn)
    return opened


# A fetch returns two records.
@pytest.mark.parametrize(("most", "read", "all_read"), [(2, 2, False), (4, 4, True), (5, 4, True)])
async def test_a_reading_says_whether_it_has_come_to_the_end(
    monkeypatch: pytest.MonkeyPatch, most: int, read: int, all_read: bool
) -> None:
    monkeypatch.setattr(order_records, "MAX_RECORDS", most)
    opened = reader(Broker([kept(offset) for offset in range(4)]), monkeypatch)
    found, said = await opened.of_order(42, SINCE)
    assert (len(found), said) == (read, all_read)


async def test_a_reading_that_its_time_ends_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_records, "MAX_READ_S", 0.01)
    assert await reader(Broker([kept(0)], silent=True), monkeypatch).of_order(42, SINCE) == ([], False)


async def test_where_there_is_nothing_all_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await reader(Broker([]), monkeypatch).of_order(42, SINCE) == ([], True)


async def test_a_record_that_can_not_be_unpacked_waits_for_its_consumer_as_others_do() -> None:
    broker = Broker([kept(0, None, Unreadable(0, 0, "CRC")), kept(1)])
    behind = await Backlog(broker).read()  # type: ignore[arg-type]
    assert {event.key for event in behind.events} == {"", "order-42"}
    assert len({event.identity for event in behind.events}) == 2


@pytest.mark.parametrize("timestamp", [NO_TIME, -NO_TIME])
async def test_an_invalid_time_becomes_the_epoch(monkeypatch: pytest.MonkeyPatch, timestamp: int) -> None:
    broker = Broker([kept(0, timestamp=timestamp, headers=[("ce_time", b"0001-01-01T00:00:00+14:00")])])
    [record], _ = await reader(broker, monkeypatch).of_order(42, SINCE)
    assert (record.published_at, record.committed_at) == (EPOCH, None)
    [event] = (await Topics(broker).newest("order.created")).events  # type: ignore[arg-type]
    assert event.published_at == EPOCH
    assert {each.published_at for each in (await Backlog(broker).read()).events} == {EPOCH}  # type: ignore[arg-type]


class Clients(KafkaClients):
    """Connects when it is let, at first in vain."""

    def __init__(self) -> None:
        super().__init__("test")
        self.let = asyncio.Event()
        self.tries = 0

    async def _connect(self) -> Readers:
        self.tries += 1
        await self.let.wait()
        if self.tries == 1:
            raise NoAnswer("KafkaConnectionError")
        return None, None


async def test_a_connection_that_failed_when_nobody_waited_any_more_is_tried_anew() -> None:
    clients = Clients()
    with suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            await clients.connect()
    clients.let.set()
    assert clients._connecting is not None
    await asyncio.wait([clients._connecting])
    await clients.connect()
    assert clients.tries == 2

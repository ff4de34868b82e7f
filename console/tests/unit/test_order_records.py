"""The records of an order that is looked at again: only what is new is read, and nothing is missed or told twice."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from hypothesis import given
from hypothesis import strategies as st

from console.client import order_records
from console.client.order_records import KEPT_S, OrderRecords, partitions_of

from .kafka import Kept

BEGIN = datetime(2026, 11, 25, 14, tzinfo=UTC)
TOPICS = ("order.created", "payment.success", "payment.success.dlq")
ORDERS = (1, 2, 3)


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
    found, all_read = await opened.of_order(order, BEGIN + timedelta(seconds=second) + order_records.SLACK)
    return [record.event_id for record in found], all_read


def ids(records: list[Kept]) -> list[str]:
    return [value.decode() for record in records for name, value in record.headers if name == "ce_id"]


async def test_a_second_look_reads_only_what_is_new() -> None:
    cluster = Cluster()
    opened = reader(cluster)
    written = [await cluster.write("order.created", order) for order in (1, 2, 2, 2)]
    assert await look(opened, 1) == (ids(written[:1]), True)
    cluster.read = 0
    assert await look(opened, 1) == (ids(written[:1]), True)
    assert cluster.read == 0
    new = await cluster.write("payment.success", 1)
    assert await look(opened, 1) == (ids([written[0], new]), True)
    assert cluster.read == 1


async def test_a_group_that_has_committed_since_the_last_look_is_named() -> None:
    cluster = Cluster()
    opened = reader(cluster)
    record, letter = await cluster.write("payment.success", 1), await cluster.write("payment.success.dlq", 1)
    place = TopicPartition("payment.success", 0)
    for committed, done in ((record.offset, False), (record.offset + 1, True)):
        cluster.committed = {place: SimpleNamespace(offset=committed)}
        found = {each.reason: each for each in (await opened.of_order(1, BEGIN))[0]}
        assert bool(found[None].done_by) is done
        assert not found["not_yet"].done_by
    assert letter.offset == record.offset


async def test_a_look_that_came_to_its_bound_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_records, "MAX_RECORDS", 2)
    cluster = Cluster(batch=2)
    opened = reader(cluster)
    for _ in range(4):
        await cluster.write("order.created", 2)
    written = await cluster.write("order.created", 1)
    assert [await look(opened, 1) for _ in range(3)] == [([], False), ([], False), (ids([written]), True)]


async def test_a_look_that_fails_leaves_nothing_behind() -> None:
    cluster = Cluster(batch=1)
    opened = reader(cluster)
    written = [await cluster.write("order.created", 1) for _ in range(3)]
    cluster.fails_after = 2
    with pytest.raises(KafkaConnectionError):
        await look(opened, 1)
    assert await look(opened, 1) == (ids(written), True)


async def test_a_record_that_comes_during_a_look_is_told_once() -> None:
    cluster = Cluster()
    opened = reader(cluster)
    first = await cluster.write("order.created", 1)
    cluster.late = ("order.created", 1)
    assert await look(opened, 1) == (ids([first]), True)
    assert await look(opened, 1) == (ids(cluster.kept[TopicPartition("order.created", 0)]), True)


@pytest.mark.parametrize(("before", "after", "wait_s"), [(3, 1, 0.0), (1, 2, KEPT_S)])
async def test_a_topic_made_anew_is_read_from_its_begin_at_once_or_after_a_while(
    monkeypatch: pytest.MonkeyPatch, before: int, after: int, wait_s: float
) -> None:
    now = [0.0]
    monkeypatch.setattr(order_records, "time", SimpleNamespace(monotonic=lambda: now[0]))
    cluster = Cluster()
    opened = reader(cluster)
    for _ in range(before):
        await cluster.write("order.created", 1)
    await look(opened, 1)
    cluster.kept.clear()
    written = [await cluster.write("order.created", 1) for _ in range(after)]
    now[0] += wait_s
    assert await look(opened, 1) == (ids(written), True)


async def test_so_many_orders_are_kept_and_none_with_too_many_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_records, "MAX_KEPT", 2)
    monkeypatch.setattr(order_records, "MAX_KEPT_RECORDS", 2)
    cluster = Cluster()
    opened = reader(cluster)
    for order in (1, 2, 3, 3, 3):
        await cluster.write("order.created", order)
    for order in (1, 2, 1, 3):
        await look(opened, order)
    assert list(opened._readings) == [2, 1]
    await cluster.write("order.created", 4)
    await look(opened, 4)
    assert list(opened._readings) == [1, 4]


WRITE = st.tuples(st.just("write"), st.sampled_from(TOPICS), st.sampled_from(ORDERS))
LOOK = st.tuples(st.just("look"), st.sampled_from(ORDERS), st.integers(0, 8))
CHANGE = st.tuples(st.sampled_from(("raise partitions", "make topics anew", "wait")))


@given(st.lists(st.one_of(WRITE, WRITE, LOOK, CHANGE), max_size=25), st.integers(1, 4))
async def test_each_look_tells_all_records_of_the_order_once_whatever_happened_before(
    steps: list[tuple[Any, ...]], batch: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        now = [0.0]
        patch.setattr(order_records, "time", SimpleNamespace(monotonic=lambda: now[0]))
        cluster = Cluster(batch=batch)
        opened = reader(cluster)
        for name, *given_ in [*steps, *(("look", order, 0) for order in ORDERS)]:
            if name == "write":
                await cluster.write(*given_)
            elif name == "look":
                told, all_read = await look(opened, *given_)
                order, second = given_
                key = f"order-{order}".encode()
                places = await partitions_of(cluster, key)
                there = [record for place in places for record in cluster.kept[place] if record.key == key]
                assert all_read
                assert len(told) == len(set(told))
                # Of those before the time it may tell some: an earlier look may have begun before.
                assert {*ids([each for each in there if each.timestamp >= at_ms(second)])} <= {*told} <= {*ids(there)}
            elif name == "raise partitions":
                cluster.partitions += 1
            elif name == "make topics anew":
                # Until then no reading is kept that a topic with as many records could be taken for.
                cluster.kept.clear()
                now[0] += KEPT_S
            else:
                now[0] += KEPT_S / 2

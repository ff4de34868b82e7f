"""The records of an order that is looked at again: only what is new is read, and nothing is missed or told twice."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from hypothesis import given
from hypothesis import strategies as st

from console.client import order_records
from console.client.order_records import KEPT_S, partitions_of

from .order_topics import BEGIN, TOPICS, Cluster, at_ms, ids, look, reader

ORDERS = (1, 2, 3)


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


async def test_when_it_is_known_again_when_an_order_was_placed_it_is_read_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(order_records, "MAX_RECORDS", 2)
    cluster = Cluster(batch=2)
    opened = reader(cluster)
    for _ in range(8):
        await cluster.write("order.created", 2)
    written = await cluster.write("order.created", 1)
    assert await look(opened, 1) == ([], False)
    assert await look(opened, 1, 9) == (ids([written]), True)


async def test_a_long_reading_is_told_until_the_one_that_reads_all_again_has_caught_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(order_records, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(order_records, "MAX_RECORDS", 2)
    cluster = Cluster(batch=2)
    opened = reader(cluster)
    for _ in range(4):
        await cluster.write("order.created", 2)
    written = [await cluster.write("order.created", 1)]
    assert [await look(opened, 1) for _ in range(3)] == [([], False), ([], False), (ids(written), True)]
    now[0] += KEPT_S
    assert await look(opened, 1) == (ids(written), True)
    written.append(await cluster.write("order.created", 1))
    assert [await look(opened, 1) for _ in range(2)] == [(ids(written), True)] * 2
    assert (opened._readings[1].begun_at, opened._readings[1].again) == (KEPT_S, None)
    assert await look(opened, 1) == (ids(written), True)


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
ALL = order_records.MAX_RECORDS
CHANGE = st.tuples(st.sampled_from(("raise partitions", "make topics anew", "wait")))


@given(st.lists(st.one_of(WRITE, WRITE, LOOK, CHANGE), max_size=25), st.integers(1, 4), st.sampled_from((1, 4, ALL)))
async def test_each_look_tells_of_the_order_what_a_new_reading_does_once_whatever_happened_before(
    steps: list[tuple[Any, ...]], batch: int, max_records: int
) -> None:
    if max_records < ALL:
        # What takes several looks tells of a topic that was made anew only when it has caught up.
        steps = [step for step in steps if step[0] != "make topics anew"]
    with pytest.MonkeyPatch.context() as patch:
        now = [0.0]
        patch.setattr(order_records, "MAX_RECORDS", max_records)
        patch.setattr(order_records, "time", SimpleNamespace(monotonic=lambda: now[0]))
        cluster = Cluster(batch=batch)
        opened = reader(cluster)
        for name, *given_ in [*steps, *(("look", order, 0) for order in ORDERS)]:
            if name == "write":
                await cluster.write(*given_)
            elif name == "look":
                order, second = given_[0], min(given_[1], cluster.second)
                told, all_read = await look(opened, order, second)
                key = f"order-{order}".encode()
                places = await partitions_of(cluster, key)
                there = [record for place in places for record in cluster.kept[place] if record.key == key]
                due = {*ids([each for each in there if each.timestamp >= at_ms(second)])}
                at_first, all_at_first = await look(reader(cluster), order, second)
                assert all_read or (max_records < ALL and not all_at_first)
                assert len(told) == len(set(told))
                # Of those before the time it may tell some: an earlier look may have begun before.
                assert (due if all_read else due & {*at_first}) <= {*told} <= {*ids(there)}
            elif name == "raise partitions":
                cluster.partitions += 1
            elif name == "make topics anew":
                # Until then no reading is kept that a topic with as many records could be taken for.
                cluster.kept.clear()
                now[0] += KEPT_S
            else:
                now[0] += KEPT_S / 2

"""Which partitions the lag is exported of, when a partition changes its owner during a report."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from aiokafka import TopicPartition
from prometheus_client import REGISTRY

from chassis.kafka.lag import LagReporter, remove
from chassis.kafka.partition import PartitionWorker

PARTITION = TopicPartition("lag.unit", 3)


class Worker:
    """A worker that has committed up to offset 4."""

    is_running = True
    retrying = 3
    committed: int | None = 4


class Consumer:
    """A consumer of a partition that ends at 10, whose next fetch starts at 7; `meanwhile` happens during a request."""

    # What aiokafka knows of the brokers: no replicas.
    _client = SimpleNamespace(cluster=SimpleNamespace(_partitions={}))

    def __init__(self, meanwhile: Callable[[], object] = lambda: None, seen: int | None = None) -> None:
        self.meanwhile = meanwhile
        self.seen = seen

    def subscription(self) -> frozenset[str]:
        return frozenset()

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset({PARTITION})

    def highwater(self, _partition: TopicPartition) -> int | None:
        return self.seen

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        self.meanwhile()
        return dict.fromkeys(partitions, 10)

    async def position(self, _partition: TopicPartition) -> int:
        return 7


def lag() -> float | None:
    return REGISTRY.get_sample_value("gocommerce_consumer_lag_messages", {"topic": PARTITION.topic, "partition": "3"})


async def report(workers: dict[TopicPartition, Worker], consumer: Any) -> None:
    await LagReporter(consumer, cast("dict[TopicPartition, PartitionWorker]", workers))._report()


async def test_the_lag_is_counted_from_the_committed_offset_and_before_any_message_from_the_next_one() -> None:
    worker = Worker()
    await report({PARTITION: worker}, Consumer())
    assert lag() == 6
    worker.committed = None
    await report({PARTITION: worker}, Consumer())
    assert lag() == 3


async def test_messages_that_wait_for_another_try_are_exported_as_long_as_the_worker_runs() -> None:
    labels, worker = {"topic": PARTITION.topic, "partition": "3"}, Worker()
    await report({PARTITION: worker}, Consumer())
    assert REGISTRY.get_sample_value("gocommerce_consumer_retrying", labels) == 3
    worker.is_running = False
    await report({PARTITION: worker}, Consumer())
    assert REGISTRY.get_sample_value("gocommerce_consumer_retrying", labels) is None


async def test_messages_behind_an_open_transaction_count_although_no_reader_may_have_them() -> None:
    await report({PARTITION: Worker()}, Consumer(seen=30))
    assert lag() == 26
    await report({PARTITION: Worker()}, Consumer(seen=8))
    assert lag() == 6


async def test_a_partition_that_is_revoked_during_a_report_is_not_exported_again() -> None:
    workers = {PARTITION: Worker()}

    def revoke() -> None:
        workers.clear()
        remove(PARTITION)

    await report(workers, Consumer(revoke))
    assert lag() is None


async def test_a_worker_that_has_ended_because_of_another_owner_exports_nothing() -> None:
    worker = Worker()
    await report({PARTITION: worker}, Consumer())
    worker.is_running = False
    await report({PARTITION: worker}, Consumer())
    assert lag() is None


async def test_a_partition_without_a_position_delays_the_report_of_no_other() -> None:
    other, worker = PARTITION._replace(partition=4), Worker()
    worker.committed = None

    class Waiting(Consumer):
        async def position(self, _partition: TopicPartition) -> int:
            await asyncio.Event().wait()
            return 0

    await report({PARTITION: worker, other: Worker()}, Waiting())
    assert REGISTRY.get_sample_value("gocommerce_consumer_lag_messages", {"topic": other.topic, "partition": "4"}) == 6
    assert lag() is None
    remove(other)

"""The gauges of the consumer: lag and tries, for the partitions that this process works on, and missing replicas."""

import asyncio
from collections.abc import Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from prometheus_client import Gauge

from chassis.kafka import replicas
from chassis.kafka.partition import PartitionWorker

log = structlog.get_logger(__name__)

LAG = Gauge(
    "gocommerce_consumer_lag_messages", "Messages between the committed offset and the end", ["topic", "partition"]
)
RETRYING = Gauge(
    "gocommerce_consumer_retrying",
    "Messages that wait for another try, or behind one of their key; 1 while the partition waits for a dependency",
    ["topic", "partition"],
)

REPORT_S = 5
ANSWER_S = 5
# A partition has no position until the group's offset for it is known.
POSITION_S = 0.5


class LagReporter:
    """Sets the gauges every 5 s for each worker's partition, also while the worker waits.

    The broker is asked for the end: the highwater mark that aiokafka keeps stands still while fetched messages wait
    (measured).
    """

    def __init__(self, consumer: AIOKafkaConsumer, workers: Mapping[TopicPartition, PartitionWorker]) -> None:
        self._consumer = consumer
        self._workers = workers

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(ANSWER_S):
                    await self._report()
            except (KafkaError, OSError, TimeoutError) as error:
                # The last values stay. The worker logs that the broker does not answer.
                log.debug("consumer lag not read", error=f"{type(error).__name__}: {error}")
            except Exception as error:
                # A gauge must not end the consumer.
                log.error("consumer lag not reported", exc_info=error)
            await asyncio.sleep(REPORT_S)

    async def _report(self) -> None:
        replicas.report(self._consumer)
        running = [partition for partition, worker in self._workers.items() if worker.is_running]
        for partition in running:
            RETRYING.labels(partition.topic, str(partition.partition)).set(self._workers[partition].retrying)
        ends = await self._consumer.end_offsets(running)
        begins = await asyncio.gather(*(self._committed(partition) for partition in running))
        for partition, begin in zip(running, begins, strict=True):
            # It may have been revoked meanwhile.
            worker = self._workers.get(partition)
            if worker is not None and worker.is_running and partition in ends and begin is not None:
                end = max(ends[partition], self._highwater(partition))
                LAG.labels(partition.topic, str(partition.partition)).set(max(end - begin, 0))
        for partition in self._workers.keys() - running:
            remove(partition)

    def _highwater(self, partition: TopicPartition) -> int:
        """Return the end that the last fetch has seen. The end for readers is before it while a transaction is open."""
        known = self._consumer.highwater(partition) if partition in self._consumer.assignment() else None
        return known or 0

    async def _committed(self, partition: TopicPartition) -> int | None:
        """Return the group's offset; before the first message, where the next fetch begins."""
        worker = self._workers.get(partition)
        if worker is not None and worker.committed is not None:
            return worker.committed
        try:
            async with asyncio.timeout(POSITION_S):
                return int(await self._consumer.position(partition))
        except (TimeoutError, IllegalStateError):
            return None


def remove(partition: TopicPartition) -> None:
    for gauge in (LAG, RETRYING):
        gauge.remove(partition.topic, str(partition.partition))

"""The gauge of the consumer lag, for the partitions that this process works on."""

import asyncio
from collections.abc import Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from prometheus_client import Gauge

from chassis.kafka.partition import PartitionWorker

log = structlog.get_logger(__name__)

LAG = Gauge("consumer_lag", "Messages between the committed offset and the end", ["topic", "partition"])

REPORT_S = 5


class LagReporter:
    """Sets the gauge every 5 s for each worker's partition, also while the worker waits.

    The broker is asked for the end: the highwater mark that aiokafka keeps stands still while fetched messages wait
    (measured).
    """

    def __init__(self, consumer: AIOKafkaConsumer, workers: Mapping[TopicPartition, PartitionWorker]) -> None:
        self._consumer = consumer
        self._workers = workers

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(REPORT_S):
                    await self._report()
            except (KafkaError, OSError, TimeoutError) as error:
                # The last values stay. The worker logs that the broker does not answer.
                log.debug("consumer lag not read", error=f"{type(error).__name__}: {error}")
            except Exception as error:
                # A gauge must not end the consumer.
                log.error("consumer lag not reported", exc_info=error)
            await asyncio.sleep(REPORT_S)

    async def _report(self) -> None:
        running = [partition for partition, worker in self._workers.items() if worker.is_running]
        ends = await self._consumer.end_offsets(running)
        positions = {partition: await self._consumer.position(partition) for partition in running}
        for partition in running:
            # It may have been revoked meanwhile.
            worker = self._workers.get(partition)
            if worker is not None and worker.is_running and partition in ends:
                committed = positions[partition] if worker.committed is None else worker.committed
                LAG.labels(partition.topic, str(partition.partition)).set(max(ends[partition] - committed, 0))
        for partition in self._workers.keys() - running:
            remove(partition)


def remove(partition: TopicPartition) -> None:
    LAG.remove(partition.topic, str(partition.partition))

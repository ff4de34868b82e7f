"""The consumer runner: one consumer group, with one worker for each partition that the group assigns to this member."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from chassis.config.settings import ProcessSettings
from chassis.kafka import lag, standing
from chassis.kafka.batches import make_consumer
from chassis.kafka.connection import connection
from chassis.kafka.consumed import consumed
from chassis.kafka.errors import is_broker_trouble
from chassis.kafka.group_watch import GroupWatch
from chassis.kafka.handling import BatchHandler, Handler
from chassis.kafka.lag import LagReporter
from chassis.kafka.partition import PartitionWorker
from chassis.kafka.producer import Producer
from chassis.kafka.resting import RestingConsumer
from chassis.kafka.standing import Standing
from chassis.kafka.stop_times import DRAIN_SHARE, LEAVE_SHARE
from chassis.loops import backoff, wait_any

__all__ = ["BatchHandler", "ConsumerRunner", "Handler"]

log = structlog.get_logger(__name__)

# The broker waits 30 s for a member in a rebalance.
REBALANCE_TIMEOUT_S = 30
REBALANCE_DRAIN_S = 18


class ConsumerRunner:
    """Runs one consumer group: a table topic -> handler, and one worker per assigned partition."""

    name = "consumer"

    def __init__(
        self,
        settings: ProcessSettings,
        group: str,
        handlers: Mapping[str, Handler],
        producer: Producer,
    ) -> None:
        self._settings = settings
        self._group = group
        self._handlers = dict(handlers)
        self._producer = producer
        self._workers: dict[TopicPartition, PartitionWorker] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._watch: GroupWatch | None = None
        self._failed: asyncio.Future[None] | None = None
        self._drain_s = settings.shutdown_timeout_s * DRAIN_SHARE
        self._leave_s = settings.shutdown_timeout_s * LEAVE_SHARE

    def standings(self) -> list[Standing]:
        """Return what the workers are doing, by topic and partition."""
        return [standing.of_worker(self._consumer, place, worker) for place, worker in sorted(self._workers.items())]

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set, then finish the messages in flight, commit and leave the group.

        Raises the error that ended a worker or the group's coordination: the process must not go on without its
        consumer.
        """
        consumer = await self._started(stop)
        if consumer is None:
            return
        self._consumer = consumer
        self._watch = GroupWatch(consumer, self._producer, self._group)
        self._failed = asyncio.get_running_loop().create_future()
        ends: set[asyncio.Future[Any]] = {
            asyncio.ensure_future(stop.wait()),
            asyncio.ensure_future(self._watch.run()),
            asyncio.ensure_future(LagReporter(consumer, self._workers).run()),
            self._failed,
        }
        try:
            consumer.subscribe(list(self._handlers), listener=_Listener(self))
            ended, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            try:
                await self.drain(list(self._workers), self._drain_s)
            finally:
                # Also when cancelled: a member that does not leave keeps its partitions until its session times out.
                await _bounded_stop(consumer, self._leave_s)
        for end in ended:
            end.result()

    async def _started(self, stop: asyncio.Event) -> AIOKafkaConsumer | None:
        failures = 0
        while not stop.is_set():
            consumer = make_consumer(RestingConsumer, **_options(self._settings, self._group))
            try:
                if await _start(consumer, stop, self._leave_s):
                    return consumer
            except (KafkaError, OSError, TimeoutError) as error:
                if not is_broker_trouble(error):
                    raise
                failures += 1
                log.warning("waiting for the broker", error=str(error))
                await wait_any(backoff(failures, 0.5, 5), stop)
        return None

    def assign(self, partitions: list[TopicPartition]) -> None:
        if self._consumer is None or self._watch is None or self._failed is None:
            raise RuntimeError("partitions were assigned before the consumer started")
        self._watch.assigned()
        for partition in partitions:
            worker = PartitionWorker(
                self._consumer,
                partition,
                self._handlers[partition.topic],
                self._producer,
                max_tries=self._settings.consumer_max_tries,
                metrics=consumed(partition.topic, self._group),
            )
            self._workers[partition] = worker
            worker.start(self._failed)

    async def revoke(self, partitions: list[TopicPartition]) -> None:
        """Finish the work on partitions before another member gets them."""
        if self._watch is not None:
            self._watch.revoked()
        await self.drain(partitions)

    async def drain(self, partitions: list[TopicPartition], timeout_s: float = REBALANCE_DRAIN_S) -> None:
        """Let the message in flight on each partition finish and commit, then stop its worker."""
        workers = {partition: self._workers[partition] for partition in partitions if partition in self._workers}
        for partition in workers:
            lag.remove(partition)
        await asyncio.gather(*(worker.drain(timeout_s) for worker in workers.values()))
        # Removed last: a process that is stopped during a rebalance drains again, with less time. Without that it
        # closes the consumer under the rebalance, and its member does not leave the group.
        for partition in workers:
            self._workers.pop(partition, None)


def _options(settings: ProcessSettings, group: str) -> dict[str, Any]:
    return {
        **connection(settings),
        "client_id": settings.service,
        "group_id": group,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "session_timeout_ms": settings.kafka_session_timeout_ms,
        "heartbeat_interval_ms": max(settings.kafka_session_timeout_ms // 4, 200),
        "rebalance_timeout_ms": REBALANCE_TIMEOUT_S * 1000,
        # Off: a member that fetches nothing, because it waits for its database or because it has no partition, would
        # leave the group, and come back for a fetch only.
        "max_poll_interval_ms": 2**31 - 1,
        # Nothing waits for it: the fetcher is woken by what it waits for. The default is five times a second.
        "consumer_timeout_ms": 5_000,
        "metadata_max_age_ms": 30_000,
        "retry_backoff_ms": 100,
    }


async def _start(consumer: AIOKafkaConsumer, stop: asyncio.Event, leave_s: float) -> bool:
    """Start a consumer. If `stop` is set before the broker has answered, close it and return False."""
    starting, stopping = asyncio.ensure_future(consumer.start()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        starting.cancel()
        stopping.cancel()
        await asyncio.wait({starting})
        if starting.cancelled() or starting.exception():
            await _bounded_stop(consumer, leave_s)
    return not starting.cancelled() and starting.result() is None


async def _bounded_stop(consumer: AIOKafkaConsumer, timeout_s: float) -> None:
    with suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(timeout_s):
            await consumer.stop()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Finishes work before a partition goes to another member. Otherwise both would process it (measured)."""

    def __init__(self, runner: ConsumerRunner) -> None:
        self._runner = runner

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._runner.revoke(list(revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        log.info("partitions assigned", count=len(assigned))
        self._runner.assign(sorted(assigned))

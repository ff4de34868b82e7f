"""The consumer runner: work, then database commit, then offset; what can't be applied goes to the dead letter topic."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from chassis.events import Message
from chassis.kafka import Producer, is_broker_trouble
from chassis.partition import PartitionWorker

if TYPE_CHECKING:
    from chassis.config import ServiceSettings

log = structlog.get_logger(__name__)

Handler = Callable[[Message], Awaitable[None]]

DRAIN_TIMEOUT_S = 15
STOP_TIMEOUT_S = 10


class ConsumerRunner:
    """Runs one consumer group: a table topic -> handler, and one worker per assigned partition."""

    def __init__(
        self,
        settings: "ServiceSettings",
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
        self._failed: asyncio.Future[None] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set, then finish the messages in flight, commit and leave the group.

        Raises what a worker died of: that is a defect, and the process must not go on without its consumer.
        """
        consumer = await self._started(stop)
        if consumer is None:
            return
        self._consumer = consumer
        self._failed = asyncio.get_running_loop().create_future()
        stopped = asyncio.ensure_future(stop.wait())
        try:
            consumer.subscribe(list(self._handlers), listener=_Listener(self))
            ends: set[asyncio.Future[Any]] = {stopped, self._failed}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            await self.drain(list(self._workers))
            with suppress(TimeoutError, KafkaError, OSError):
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await consumer.stop()
        if self._failed.done():
            self._failed.result()

    async def _started(self, stop: asyncio.Event) -> AIOKafkaConsumer | None:
        attempt = 0
        while not stop.is_set():
            consumer = AIOKafkaConsumer(**self._options())
            try:
                await consumer.start()
                return consumer
            except (KafkaError, OSError, TimeoutError) as error:
                await consumer.stop()
                if not is_broker_trouble(error):
                    raise
                attempt += 1
                log.warning("waiting for the broker", error=str(error))
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(0.25 * 2**attempt, 5)):
                        await stop.wait()
        return None

    def _options(self) -> dict[str, Any]:
        return {
            "bootstrap_servers": self._settings.kafka_broker,
            "client_id": self._settings.service,
            "group_id": self._group,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "isolation_level": "read_committed",
            "session_timeout_ms": self._settings.kafka_session_timeout_ms,
            "heartbeat_interval_ms": max(self._settings.kafka_session_timeout_ms // 4, 200),
            "rebalance_timeout_ms": 30_000,
            "metadata_max_age_ms": 30_000,
            "retry_backoff_ms": 100,
        }

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Start a worker for each partition that this member was given."""
        if self._consumer is None or self._failed is None:
            raise RuntimeError("partitions were assigned before the consumer started")
        for partition in partitions:
            worker = PartitionWorker(
                self._consumer,
                partition,
                self._handlers[partition.topic],
                self._producer,
                max_tries=self._settings.consumer_max_tries,
                handler_name=f"{self._group}.{partition.topic}",
            )
            self._workers[partition] = worker
            worker.start(self._failed)

    async def drain(self, partitions: list[TopicPartition]) -> None:
        """Let the message in flight on each partition finish and commit, then stop its worker."""
        workers = [self._workers.pop(partition) for partition in partitions if partition in self._workers]
        await asyncio.gather(*(worker.drain(DRAIN_TIMEOUT_S) for worker in workers))


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Finishes work before a partition goes to another member: without it both would process it (measured)."""

    def __init__(self, runner: ConsumerRunner) -> None:
        self._runner = runner

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._runner.drain(list(revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        log.info("partitions assigned", count=len(assigned))
        self._runner.assign(sorted(assigned))

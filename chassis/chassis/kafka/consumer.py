"""The consumer runner: work, then database commit, then offset; what can't be applied goes to the dead letter topic."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from chassis.config.settings import ServiceSettings
from chassis.events import Message
from chassis.kafka.errors import is_broker_trouble
from chassis.kafka.partition import PartitionWorker
from chassis.kafka.producer import Producer
from chassis.loops import backoff, wait_any

log = structlog.get_logger(__name__)

Handler = Callable[[Message], Awaitable[None]]

DRAIN_TIMEOUT_S = 15
STOP_TIMEOUT_S = 3
WATCH_S = 5
# A rebalance takes at most 30 s: a member that has no answer for so long, from a broker that does answer, never gets one.
UNASSIGNED_S = 60


class ConsumerRunner:
    """Runs one consumer group: a table topic -> handler, and one worker per assigned partition."""

    name = "consumer"

    def __init__(
        self,
        settings: ServiceSettings,
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
        self._unassigned_since: float | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set, then finish the messages in flight, commit and leave the group.

        Raises what a worker or the group's coordination died of: the process must not go on without its consumer.
        """
        consumer = await self._started(stop)
        if consumer is None:
            return
        self._consumer = consumer
        self._failed = asyncio.get_running_loop().create_future()
        self._unassigned_since = time.monotonic()
        ends: set[asyncio.Future[Any]] = {
            asyncio.ensure_future(stop.wait()), asyncio.ensure_future(self._watch(consumer)), self._failed,
        }  # fmt: skip
        try:
            consumer.subscribe(list(self._handlers), listener=_Listener(self))
            ended, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            try:
                await self.drain(list(self._workers))
            finally:
                # Also when cancelled: a member that does not leave keeps its partitions until its session times out.
                await _bounded_stop(consumer)
        for end in ended:
            end.result()

    async def _started(self, stop: asyncio.Event) -> AIOKafkaConsumer | None:
        failures = 0
        while not stop.is_set():
            consumer = AIOKafkaConsumer(**self._options())
            try:
                if await _start(consumer, stop):
                    return consumer
            except (KafkaError, OSError, TimeoutError) as error:
                if not is_broker_trouble(error):
                    raise
                failures += 1
                log.warning("waiting for the broker", error=str(error))
                await wait_any(backoff(failures, 0.5, 5), stop)
        return None

    async def _watch(self, consumer: AIOKafkaConsumer) -> None:
        """Raise when the group's coordination has died, or goes on without an end and without partitions.

        aiokafka tells of its coordinator's death to those who fetch only, and a member without partitions fetches
        nothing: so something is fetched that does not exist.
        """
        nowhere = TopicPartition("", 0)
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                async with asyncio.timeout(WATCH_S):
                    await consumer.getmany(nowhere)
            except TimeoutError:
                log.info("waiting for partitions", group=self._group)
            except KafkaError as error:
                if not is_broker_trouble(error):
                    raise
            if self._unassigned_since is None:
                continue
            if not await self._broker_answers():
                self._unassigned_since = time.monotonic()
            elif time.monotonic() - self._unassigned_since > UNASSIGNED_S:
                raise RuntimeError(f"group {self._group} has assigned nothing for {UNASSIGNED_S} s to this member")

    async def _broker_answers(self) -> bool:
        try:
            async with asyncio.timeout(WATCH_S):
                await self._producer.ping()
        except (KafkaError, OSError, TimeoutError):
            return False
        return True

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
            # Never: a member that fetches nothing, because it waits for its database or because it has no partition,
            # would leave the group, and come back for a fetch only.
            "max_poll_interval_ms": 2**31 - 1,
            "metadata_max_age_ms": 30_000,
            "retry_backoff_ms": 100,
        }

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Start a worker for each partition that this member was given."""
        if self._consumer is None or self._failed is None:
            raise RuntimeError("partitions were assigned before the consumer started")
        self._unassigned_since = None
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

    async def revoke(self, partitions: list[TopicPartition]) -> None:
        """Give partitions up: the next ones are expected from now on."""
        self._unassigned_since = time.monotonic()
        await self.drain(partitions)

    async def drain(self, partitions: list[TopicPartition]) -> None:
        """Let the message in flight on each partition finish and commit, then stop its worker."""
        workers = [self._workers.pop(partition) for partition in partitions if partition in self._workers]
        await asyncio.gather(*(worker.drain(DRAIN_TIMEOUT_S) for worker in workers))


async def _start(consumer: AIOKafkaConsumer, stop: asyncio.Event) -> bool:
    """Start a consumer, or give up when told to stop before the broker has answered: then False, and it is closed."""
    starting, stopping = asyncio.ensure_future(consumer.start()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        starting.cancel()
        stopping.cancel()
        await asyncio.wait({starting})
        if starting.cancelled() or starting.exception():
            await _bounded_stop(consumer)
    return not starting.cancelled() and starting.result() is None


async def _bounded_stop(consumer: AIOKafkaConsumer) -> None:
    with suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await consumer.stop()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Finishes work before a partition goes to another member: without it both would process it (measured)."""

    def __init__(self, runner: ConsumerRunner) -> None:
        self._runner = runner

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._runner.revoke(list(revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        log.info("partitions assigned", count=len(assigned))
        self._runner.assign(sorted(assigned))

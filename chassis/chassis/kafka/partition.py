"""The worker of one partition: it fetches messages, runs each through the chain, and commits the offset after them."""

import asyncio
import time
from contextlib import suppress
from functools import partial

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CorruptRecordException, IllegalStateError, KafkaError

from chassis.events import Message
from chassis.failpoint import failpoint
from chassis.kafka.chain import Chain, Handler
from chassis.kafka.errors import is_broker_trouble
from chassis.kafka.key_queues import KeyQueues
from chassis.kafka.offsets import OffsetWindow
from chassis.kafka.producer import Producer
from chassis.kafka.retry import NOT_YET_S, Attempt, Outcome
from chassis.loops import wait_any

log = structlog.get_logger(__name__)

FETCH_TIMEOUT_MS = 10_000
MAX_RECORDS = 100
# Offsets that may be open at once. A partition with so many messages that wait for another try stops fetching.
MAX_WINDOW = 1_000
# Of the time to drain, for the message in flight; what is left is for the last commit.
HANDLER_SHARE = 0.8


class PartitionWorker:
    """Processes one partition in order per key.

    A message that must be retried blocks its own key only. Later messages of other keys go on, and the committed
    offset stays below the oldest message that is still open. While a dependency is down the whole partition waits,
    without a limit and with capped backoff.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        partition: TopicPartition,
        handler: Handler,
        producer: Producer,
        *,
        max_tries: int,
        handler_name: str,
        not_yet_s: float = NOT_YET_S,
    ) -> None:
        self._consumer = consumer
        self._partition = partition
        self._stop = asyncio.Event()
        self._chain = Chain(
            handler, producer, self._stop, max_tries=max_tries, handler_name=handler_name, not_yet_s=not_yet_s
        )
        self._offsets = OffsetWindow(consumer, partition)
        self._queues = KeyQueues()
        self._fetching = False
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done() and not self._stop.is_set()

    @property
    def committed(self) -> int | None:
        """The group's offset, None before the first message."""
        return self._offsets.committed

    def start(self, failed: asyncio.Future[None]) -> None:
        """Start working; a defect that ends the worker is put into `failed`."""
        self._task = asyncio.create_task(self._run(), name=f"{self._partition.topic}-{self._partition.partition}")
        self._task.add_done_callback(partial(_report, failed))

    async def drain(self, timeout_s: float) -> None:
        """Finish the message in flight, commit what is done, and end within `timeout_s`.

        A handler that has not ended after 80 % of it is cancelled, and its message stays uncommitted.
        """
        self._stop.set()
        if self._task is None:
            return
        if self._fetching:
            self._task.cancel()
        try:
            _, late = await asyncio.wait({self._task}, timeout=timeout_s * HANDLER_SHARE)
            if late:
                log.warning("worker did not finish in time", topic=self._partition.topic)
        finally:
            self._task.cancel()
        await asyncio.wait({self._task})
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(timeout_s * (1 - HANDLER_SHARE)):
                await self._offsets.commit()

    async def _run(self) -> None:
        try:
            while not self._stop.is_set():
                for message in await self._fetch():
                    await self._accept(message)
                    if self._stop.is_set():
                        break
                await self._retry_due()
                await failpoint("consumer.before_commit", self._partition.topic)
                await self._offsets.commit()
        except IllegalStateError:
            log.info("partition has another owner", topic=self._partition.topic, partition=self._partition.partition)

    async def _fetch(self) -> list[Message]:
        wait_s = FETCH_TIMEOUT_MS / 1000
        if self._queues:
            wait_s = min(wait_s, max(self._queues.next_due() - time.monotonic(), 0.0))
        if len(self._offsets) >= MAX_WINDOW:
            await wait_any(wait_s, self._stop)
            return []
        self._fetching = True
        try:
            records = await self._consumer.getmany(
                self._partition, timeout_ms=int(wait_s * 1000), max_records=MAX_RECORDS
            )
        except KafkaError as error:
            # Any other error means that the coordinator has given up: the process must not go on without it.
            if not (is_broker_trouble(error) or isinstance(error, CorruptRecordException)):
                raise
            log.warning("fetch failed", topic=self._partition.topic, error=str(error))
            await wait_any(1, self._stop)
            return []
        finally:
            self._fetching = False
        return [_message(record) for record in records.get(self._partition, [])]

    async def _accept(self, message: Message) -> None:
        self._offsets.open(message.offset)
        attempt = Attempt(message)
        if message.key in self._queues or await self._process(attempt) is Outcome.LATER:
            self._queues.add(attempt)

    async def _retry_due(self) -> None:
        for key in self._queues.waiting_keys():
            while not self._stop.is_set() and (attempt := self._queues.first_due(key, time.monotonic())):
                if await self._process(attempt) is not Outcome.DONE:
                    break
                self._queues.remove_first(key)

    async def _process(self, attempt: Attempt) -> Outcome:
        outcome = await self._chain.process(attempt)
        if outcome is Outcome.DONE:
            self._offsets.finish(attempt.message.offset)
        return outcome


def _message(record: ConsumerRecord) -> Message:
    return Message.received(
        record.topic, record.partition, record.offset, record.key, record.value, record.headers, record.timestamp
    )


def _report(failed: asyncio.Future[None], task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) and not failed.done():
        failed.set_exception(error)

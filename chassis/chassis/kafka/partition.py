"""The worker of one partition: it fetches messages, applies them in runs or one by one, and then commits the offset."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from chassis.events import Message
from chassis.failpoint import failpoint
from chassis.kafka.chain import Chain
from chassis.kafka.consumed import Consumed
from chassis.kafka.fetch import fetch
from chassis.kafka.handling import Handler
from chassis.kafka.key_queues import KeyQueues
from chassis.kafka.offsets import OffsetWindow
from chassis.kafka.producer import Producer
from chassis.kafka.retry import NOT_YET_S, Attempt, Outcome
from chassis.kafka.runs import Runs
from chassis.loops import wait_any

log = structlog.get_logger(__name__)

FETCH_TIMEOUT_MS = 10_000
# The most retries between two fetches: new messages must not wait for all retries that are due.
MAX_RETRIES = 100
# A partition stops fetching while its waiting messages take so much memory.
MAX_WAITING_BYTES = 16 * 1024 * 1024
# The share of the time to drain that messages in flight may take. The rest is for the last commit.
HANDLER_SHARE = 0.8


class PartitionWorker:
    """Processes one partition in order per key.

    A message that must be retried blocks its own key only, and the committed offset stays below the oldest message
    that is still open. While a dependency is down the whole partition waits, without a limit.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        partition: TopicPartition,
        handler: Handler,
        producer: Producer,
        *,
        max_tries: int,
        metrics: Consumed,
        not_yet_s: float = NOT_YET_S,
    ) -> None:
        self._consumer = consumer
        self._partition = partition
        self._stop = asyncio.Event()
        self.chain = Chain(handler, producer, self._stop, max_tries=max_tries, consumed=metrics, not_yet_s=not_yet_s)
        self.offsets = OffsetWindow(consumer, partition)
        self.queues = KeyQueues()
        self._runs = Runs(handler, self.queues, metrics)
        self._fetching = False
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done() and not self._stop.is_set()

    @property
    def committed(self) -> int | None:
        """The group's offset, None before the first message."""
        return self.offsets.committed

    @property
    def retrying(self) -> int:
        return max(self.queues.count, int(self.chain.outage is not None))

    def start(self, failed: asyncio.Future[None]) -> None:
        """Start working; a defect that ends the worker is put into `failed`."""
        self._task = asyncio.create_task(self._run(), name=f"{self._partition.topic}-{self._partition.partition}")
        self._task.add_done_callback(partial(_report, failed))

    async def drain(self, timeout_s: float) -> None:
        """Finish the message or run in flight, commit what is done, and end within `timeout_s`.

        A handler that has not ended after 80 % of it is cancelled, and its messages stay uncommitted.
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
        await _last_commit(self.offsets, timeout_s * (1 - HANDLER_SHARE))

    async def _run(self) -> None:
        try:
            while not self._stop.is_set():
                fetched = deque([self._opened(message) for message in await self._fetch()])
                while fetched and not self._stop.is_set():
                    await self._accept(self._runs.take(fetched))
                await self._retry_due()
                if not self._stop.is_set():
                    await self.offsets.pass_markers()
                await failpoint("consumer.before_commit", self._partition.topic)
                await self.offsets.commit()
        except IllegalStateError:
            log.info("partition has another owner", topic=self._partition.topic, partition=self._partition.partition)

    async def _fetch(self) -> list[Message]:
        wait_s = min(self.queues.due_in_s(time.monotonic()), FETCH_TIMEOUT_MS / 1000)
        if self.queues.size_bytes >= MAX_WAITING_BYTES:
            await wait_any(wait_s, self._stop)
            return []
        self._fetching = True
        try:
            return await fetch(self._consumer, self._partition, wait_s, self._stop)
        finally:
            self._fetching = False

    def _opened(self, message: Message) -> Attempt:
        self.offsets = self.offsets.opened(message.offset)
        return Attempt(message, self.offsets, arrived=self.chain.work_time.now())

    async def _accept(self, run: Sequence[Attempt]) -> None:
        if await self._runs.apply(run):
            return
        for attempt in run:
            if self.queues.holds_back(attempt) or await self._process(attempt) is not Outcome.DONE:
                self.queues.add(attempt)
            if self._stop.is_set():
                break

    async def _retry_due(self) -> None:
        for _ in range(MAX_RETRIES):
            attempt = self.queues.take_due(time.monotonic())
            if attempt is None or self._stop.is_set():
                break
            if await self._process(attempt) is Outcome.DONE:
                self.queues.remove(attempt)
            else:
                self.queues.put_back(attempt)

    async def _process(self, attempt: Attempt) -> Outcome:
        outcome = await self.chain.process(attempt)
        if outcome is Outcome.DONE:
            attempt.offsets.finish(attempt.message.offset)
        return outcome


async def _last_commit(offsets: OffsetWindow, timeout_s: float) -> None:
    with suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(timeout_s):
            await offsets.commit()


def _report(failed: asyncio.Future[None], task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) and not failed.done():
        failed.set_exception(error)

"""One partition's worker: the chain trace, log context, dead letter, retry, handler, and the offset that follows it."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, CorruptRecordException, IllegalStateError, KafkaError
from opentelemetry.trace import Span
from prometheus_client import Counter, Gauge
from structlog.contextvars import bind_contextvars, clear_contextvars

from chassis import telemetry
from chassis.errors import InvalidMessage, NotYet
from chassis.events import Message
from chassis.failpoint import failpoint
from chassis.kafka.errors import is_broker_trouble
from chassis.kafka.producer import Producer
from chassis.kafka.retry import NOT_YET_S, Attempt, Outcome, is_outage
from chassis.kafka.topics import dlq
from chassis.loops import backoff

log = structlog.get_logger(__name__)

CONSUMED = Counter("consumer_messages_total", "Messages by outcome", ["topic", "outcome"])
LAG = Gauge("consumer_lag", "Messages between the committed work and the end", ["topic", "partition"])

FETCH_TIMEOUT_MS = 10_000
MAX_RECORDS = 100
# Offsets that may be open at once; a partition that waits for more than these retries stops fetching.
MAX_WINDOW = 1_000
TRANSIENT_CAP_S = 5.0
# A wait that goes on is told again after so many tries: every five minutes.
TELL_EVERY = 60
COMMIT_TIMEOUT_S = 5
LAST_COMMIT_TIMEOUT_S = 3


class PartitionWorker:
    """Processes one partition in order per key. A message that must be retried holds back its own key only:

    later messages of other keys go on, and the committed offset stays below the oldest message that is still open.
    A dependency that is down holds the whole partition, without an end and with capped backoff.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        partition: TopicPartition,
        handler: Callable[[Message], Awaitable[None]],
        producer: Producer,
        *,
        max_tries: int,
        handler_name: str,
        not_yet_s: float = NOT_YET_S,
    ) -> None:
        self._consumer = consumer
        self._partition = partition
        self._handler = handler
        self._producer = producer
        self._max_tries = max_tries
        self._handler_name = handler_name
        self._not_yet_s = not_yet_s
        self._window: dict[int, bool] = {}
        self._waiting: dict[str | None, deque[Attempt]] = {}
        self._stop = asyncio.Event()
        self._fetching = False
        self._task: asyncio.Task[None] | None = None
        self._position: int | None = None
        self._committed: int | None = None
        self._committing: tuple[asyncio.Future[None], int] | None = None

    def start(self, failed: asyncio.Future[None]) -> None:
        """Start working; a defect that ends the worker is put into `failed`."""
        self._task = asyncio.create_task(self._run(), name=f"{self._partition.topic}-{self._partition.partition}")

        def report(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) and not failed.done():
                failed.set_exception(error)

        self._task.add_done_callback(report)

    async def drain(self, timeout_s: float) -> None:
        """Finish the message in flight, commit what is done, and end. Cancels the worker after `timeout_s`."""
        self._stop.set()
        if self._task is None:
            return
        if self._fetching:
            self._task.cancel()
        try:
            _, late = await asyncio.wait({self._task}, timeout=timeout_s)
            if late:
                log.warning("worker did not finish in time", topic=self._partition.topic)
        finally:
            self._task.cancel()
        await asyncio.wait({self._task})
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(LAST_COMMIT_TIMEOUT_S):
                await self._commit()

    async def _run(self) -> None:
        try:
            while not self._stop.is_set():
                for record in await self._fetch():
                    await self._take(record)
                    if self._stop.is_set():
                        break
                await self._retry_due()
                await failpoint("consumer.before_commit", self._partition.topic)
                await self._commit()
        except IllegalStateError:
            log.info("partition has another owner", topic=self._partition.topic, partition=self._partition.partition)

    async def _fetch(self) -> list[Message]:
        wait_s = FETCH_TIMEOUT_MS / 1000
        if self._waiting:
            wait_s = min(wait_s, max(self._next_due() - time.monotonic(), 0.0))
        if len(self._window) >= MAX_WINDOW:
            await self._pause(wait_s)
            return []
        self._fetching = True
        try:
            found = await self._consumer.getmany(
                self._partition, timeout_ms=int(wait_s * 1000), max_records=MAX_RECORDS
            )
        except KafkaError as error:
            # What is not the broker's absence is a coordinator that has given up: the process must not go on without it.
            if not (is_broker_trouble(error) or isinstance(error, CorruptRecordException)):
                raise
            log.warning("fetch failed", topic=self._partition.topic, error=str(error))
            await self._pause(1)
            return []
        finally:
            self._fetching = False
        records = found.get(self._partition, [])
        return [
            Message.received(r.topic, r.partition, r.offset, r.key, r.value, r.headers, r.timestamp) for r in records
        ]

    def _next_due(self) -> float:
        return min(queue[0].due for queue in self._waiting.values())

    async def _take(self, message: Message) -> None:
        self._window[message.offset] = False
        attempt = Attempt(message)
        if message.key in self._waiting:
            self._waiting[message.key].append(attempt)
        elif await self._attempt(attempt) is Outcome.LATER:
            self._waiting[message.key] = deque([attempt])

    async def _retry_due(self) -> None:
        for key in list(self._waiting):
            queue = self._waiting[key]
            while queue and queue[0].due <= time.monotonic() and not self._stop.is_set():
                if await self._attempt(queue[0]) is not Outcome.DONE:
                    break
                queue.popleft()
            if not queue:
                del self._waiting[key]

    async def _attempt(self, attempt: Attempt) -> Outcome:
        message = attempt.message
        attributes: dict[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.destination.name": message.topic,
            "messaging.destination.partition.id": str(message.partition),
            "messaging.kafka.offset": message.offset,
            "messaging.message.id": str(message.event_id),
        }
        bind_contextvars(topic=message.topic, event_id=str(message.event_id), key=message.key, offset=message.offset)
        try:
            with telemetry.process_span(message.topic, message.headers, attributes) as span:
                outcome = await self._until_decided(attempt, span)
        finally:
            # Also what the handler has bound, for example the order: it must not be on the next message's lines.
            clear_contextvars()
        if outcome is Outcome.DONE:
            self._window[message.offset] = True
        return outcome

    async def _until_decided(self, attempt: Attempt, span: Span) -> Outcome:
        outages = 0
        while not self._stop.is_set():
            try:
                await failpoint("consumer.before_handler", attempt.message.topic)
                await self._handler(attempt.message)
                await failpoint("consumer.after_handler", attempt.message.topic)
            except Exception as error:
                telemetry.mark_failed(span, error)
                if not is_outage(error):
                    return await self._failed(attempt, error)
                outages += 1
                if outages % TELL_EVERY == 1:
                    log.warning("dependency is away, the partition waits", tries=outages, error=_text(error))
                await self._pause(backoff(outages, 0.4, TRANSIENT_CAP_S))
                continue
            CONSUMED.labels(attempt.message.topic, "applied").inc()
            return Outcome.DONE
        return Outcome.STOPPED

    async def _failed(self, attempt: Attempt, error: Exception) -> Outcome:
        reason, wait = attempt.failed(error, self._max_tries, self._not_yet_s)
        if not isinstance(error, InvalidMessage | NotYet):
            log.warning("handler failed", tries=attempt.tries, exc_info=error)
        if reason is not None:
            return await self._dead_letter(attempt, reason, error)
        CONSUMED.labels(attempt.message.topic, "retried").inc()
        attempt.due = time.monotonic() + wait
        return Outcome.LATER

    async def _dead_letter(self, attempt: Attempt, reason: str, error: Exception) -> Outcome:
        message, failures = attempt.message, 0
        headers = attempt.dead_letter(reason, error, self._handler_name)
        # aiokafka sends no record that has neither key nor value.
        value = b"" if message.value is None and message.raw_key is None else message.value
        while not self._stop.is_set():
            try:
                await self._producer.send(dlq(message.topic), value, message.raw_key, headers)
            except (KafkaError, OSError, TimeoutError) as failure:
                # Without a kept copy the offset must not move.
                failures += 1
                if failures % TELL_EVERY == 1:
                    log.warning("dead letter not written yet", tries=failures, error=_text(failure))
                await self._pause(backoff(failures, 0.2, TRANSIENT_CAP_S))
                continue
            CONSUMED.labels(message.topic, "dead_letter").inc()
            log.error("message dead-lettered", reason=reason, error=str(error), tries=attempt.tries)
            return Outcome.DONE
        return Outcome.STOPPED

    async def _commit(self) -> None:
        for offset, done in list(self._window.items()):
            if not done:
                break
            del self._window[offset]
            self._position = offset + 1
        while self._position is not None and self._position != self._committed:
            if not await self._commit_once(self._position):
                return

    async def _commit_once(self, position: int) -> bool:
        """Commit, or wait on for the commit that is under way; False when there is no answer yet, or a bad one."""
        if self._committing is None:
            # Never cancelled: aiokafka goes on with a commit that nobody waits for, and its failure would be nobody's.
            task = asyncio.ensure_future(self._consumer.commit({self._partition: position}))
            task.add_done_callback(_told)
            self._committing = task, position
        task, position = self._committing
        await asyncio.wait({task}, timeout=COMMIT_TIMEOUT_S)
        if not task.done():
            log.warning("offset not committed yet", error="no answer")
            return False
        self._committing = None
        try:
            task.result()
        except CommitFailedError as error:
            raise IllegalStateError("the partition was taken over") from error
        except KafkaError as error:
            if isinstance(error, IllegalStateError):
                raise
            # The work is done and the inbox remembers it; the next commit moves the offset for this one too.
            log.warning("offset not committed yet", error=str(error))
            return False
        self._committed = position
        self._report_lag(position)
        return True

    def _report_lag(self, position: int) -> None:
        end = self._consumer.highwater(self._partition)
        if end is not None:
            LAG.labels(self._partition.topic, str(self._partition.partition)).set(max(end - position, 0))

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _told(commit: asyncio.Future[None]) -> None:
    """Take note of a commit's failure: nobody may be there any more to hear of it."""
    if not commit.cancelled():
        commit.exception()

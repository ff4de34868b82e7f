"""The chain that every message runs through: span, log context, dead letter, outage wait, handler."""

import asyncio
import time

import structlog
from aiokafka.errors import KafkaError
from opentelemetry.trace import Span, SpanKind

from chassis import telemetry
from chassis.errors import InvalidMessage, NotYet
from chassis.events import Message
from chassis.failpoint import failpoint
from chassis.kafka.consumed import Consumed
from chassis.kafka.dead_letter import MAX_ERROR, TOO_LARGE, DeadLetter, forms
from chassis.kafka.handling import Handler
from chassis.kafka.producer import Producer
from chassis.kafka.retry import NOT_YET_S, Attempt, Outcome, is_outage
from chassis.kafka.topics import dlq
from chassis.kafka.work_time import WorkTime
from chassis.loops import backoff, wait_any
from chassis.message_scope import message_scope

log = structlog.get_logger(__name__)

MAX_WAIT_S = 5.0
# A long wait is logged again after so many tries, which is every five minutes.
LOG_EVERY = 60
# Key, value and headers. A batch may inflate to more: that is not parsed, and does not wait.
MAX_MESSAGE_BYTES = 1024 * 1024


class Chain:
    """Runs attempts of one topic's messages. Waits end early when `stop` is set; the outcome is then STOPPED."""

    def __init__(
        self,
        handler: Handler,
        producer: Producer,
        stop: asyncio.Event,
        consumed: Consumed,
        *,
        max_tries: int,
        not_yet_s: float = NOT_YET_S,
    ) -> None:
        self._handler = handler
        self._producer = producer
        self._stop = stop
        self._max_tries = max_tries
        self._consumed = consumed
        self._not_yet_s = not_yet_s
        self.work_time = WorkTime()
        # Why the dependency that is waited for failed. It may be the broker of a dead letter.
        self.outage: str | None = None

    async def process(self, attempt: Attempt) -> Outcome:
        """Run one attempt through the steps of the chain, the outermost first."""
        message = attempt.message
        with message_scope(message) as span:
            if span.is_recording():
                span.set_attribute("messaging.consumer.group.name", self._consumed.handler_name.partition(".")[0])
            try:
                return await self._wait_out_outages(self._run_handler, message, span)
            except Exception as error:
                return await self._retry_or_dead_letter(attempt, error)

    async def _wait_out_outages(self, run: Handler, message: Message, span: Span) -> Outcome:
        """Run again while a dependency is away: an outage says nothing about the message. Raises any other error."""
        outages = 0
        while not self._stop.is_set():
            started = time.perf_counter()
            try:
                await run(message)
            except Exception as error:
                self._consumed.failed(error, started)
                telemetry.mark_failed(span, error)
                if not is_outage(error):
                    self.outage = None
                    raise
                outages += 1
                self.outage = _text(error)[:MAX_ERROR]
                self.work_time.skip()
                if outages % LOG_EVERY == 1:
                    log.warning("dependency is away, the partition waits", tries=outages, error=_text(error))
                await wait_any(backoff(outages, 0.4, MAX_WAIT_S), self._stop)
                self.work_time.skip()
                continue
            self.outage = None
            self._consumed.applied([message], started, span)
            return Outcome.DONE
        return Outcome.STOPPED

    async def _run_handler(self, message: Message) -> None:
        if message.unreadable is not None:
            raise InvalidMessage("unreadable_record", f"The record can't be unpacked: {message.unreadable.cause}")
        if message.size_bytes > MAX_MESSAGE_BYTES:
            raise InvalidMessage("message_too_large", f"the message has {message.size_bytes} bytes")
        await failpoint("consumer.before_handler", message.topic)
        await self._handler(message)
        await failpoint("consumer.after_handler", message.topic)

    async def _retry_or_dead_letter(self, attempt: Attempt, error: Exception) -> Outcome:
        verdict = attempt.failed(error, self.work_time.now(), self._max_tries, self._not_yet_s)
        if not isinstance(error, InvalidMessage | NotYet):
            log.warning("handler failed", tries=attempt.tries, exc_info=error)
        if verdict.dead_letter is not None:
            return await self._write_dead_letter(attempt, verdict.dead_letter, error)
        attempt.due = time.monotonic() + verdict.retry_after
        return Outcome.LATER

    async def _write_dead_letter(self, attempt: Attempt, reason: str, error: Exception) -> Outcome:
        message, failures = attempt.message, 0
        letters = forms(message, reason, error, self._consumed.handler_name, attempt.tries)
        letter = next(letters)
        while not self._stop.is_set():
            try:
                await self._send(message, letter)
            except (KafkaError, OSError, TimeoutError) as failure:
                if isinstance(failure, TOO_LARGE) and (smaller := next(letters, None)):
                    letter = smaller
                    continue
                # Without a stored copy the offset must not move.
                failures += 1
                self.outage = _text(failure)[:MAX_ERROR]
                if failures % LOG_EVERY == 1:
                    log.warning("dead letter not written yet", tries=failures, error=_text(failure))
                await wait_any(backoff(failures, 0.2, MAX_WAIT_S), self._stop)
                self.work_time.skip()
                continue
            self.outage = None
            self._consumed.dead_lettered(reason)
            log.error("message dead-lettered", reason=reason, error=str(error)[:MAX_ERROR], tries=attempt.tries)
            return Outcome.DONE
        return Outcome.STOPPED

    async def _send(self, message: Message, letter: DeadLetter) -> None:
        topic = dlq(message.topic)
        with telemetry.tracing.child(f"send {topic}", kind=SpanKind.PRODUCER) as span:
            stored = await self._producer.send(topic, letter.value, letter.key, letter.headers)
            if span.is_recording():
                span.set_attributes(telemetry.messaging("send", topic, stored.partition, message.key))
                span.set_attribute("messaging.kafka.offset", stored.offset)


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"

"""Runs: messages that follow each other in a fetch and are applied together, each by itself only when that fails."""

import time
from collections import deque
from collections.abc import Sequence

import structlog
from prometheus_client import Counter
from structlog.contextvars import clear_contextvars

from chassis import telemetry
from chassis.events import Message
from chassis.failpoint import failpoint, is_armed
from chassis.kafka.chain import MAX_MESSAGE_BYTES
from chassis.kafka.consumed import Consumed
from chassis.kafka.dead_letter import MAX_ERROR
from chassis.kafka.handling import BatchHandler, Handler
from chassis.kafka.key_queues import KeyQueues
from chassis.kafka.retry import Attempt
from chassis.message_scope import message_scope

log = structlog.get_logger(__name__)

RUNS = Counter("gocommerce_consumer_runs_total", "Runs of several messages by outcome", ["topic", "outcome"])


class Runs:
    """Forms the runs of one partition, and applies them if its handler can.

    Outside of a run stay messages whose key waits for another try, what can't be unpacked, and what is traced: its span
    is about its own handling. The messages of a run have no more bytes than one message may have.
    """

    def __init__(self, handler: Handler, queues: KeyQueues, consumed: Consumed) -> None:
        self._many = handler.many if isinstance(handler, BatchHandler) else None
        self._queues = queues
        self._consumed = consumed

    def take(self, fetched: deque[Attempt]) -> list[Attempt]:
        """Remove the next run from the attempts of a fetch, at least one attempt."""
        run: list[Attempt] = []
        size = 0
        while fetched and self._may_join(fetched[0]):
            size += fetched[0].message.size_bytes
            if size > MAX_MESSAGE_BYTES:
                break
            run.append(fetched.popleft())
        return run or [fetched.popleft()]

    async def apply(self, run: Sequence[Attempt]) -> bool:
        """Apply a run together. False: it has to be processed one by one, and so is a run of one.

        The error may be about one of the messages or about none, and only a try of each tells. It can also come after
        the commit; the inbox then absorbs those tries.
        """
        if self._many is None or len(run) == 1:
            return False
        messages = [attempt.message for attempt in run]
        first = messages[0]
        started = time.perf_counter()
        try:
            await _failpoints("consumer.before_handler", messages)
            await self._many(messages)
            await _failpoints("consumer.after_handler", messages)
        except Exception as error:
            self._consumed.failed(error, started)
            RUNS.labels(first.topic, "split").inc()
            text = f"{type(error).__name__}: {error}"[:MAX_ERROR]
            place = {"topic": first.topic, "partition": first.partition, "offset": first.offset}
            log.info("messages are applied one by one", **place, messages=len(run), error=text)
            return False
        finally:
            # What the handler has bound to the log is about messages that are done.
            clear_contextvars()
        RUNS.labels(first.topic, "applied").inc()
        self._consumed.applied(messages, started)
        for attempt in run:
            attempt.offsets.finish(attempt.message.offset)
        return True

    def _may_join(self, attempt: Attempt) -> bool:
        if self._many is None or attempt.message.unreadable is not None or self._queues.holds_back(attempt):
            return False
        return not telemetry.tracing.may_record(attempt.message.headers)


async def _failpoints(name: str, messages: Sequence[Message]) -> None:
    if not is_armed():
        return
    for message in messages:
        with message_scope(message):
            await failpoint(name, message.topic)

"""The runs of the auditor, read from their topic when a page shows them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from chassis.kafka.batches import make_consumer
from console.client.admin_api import NoAnswer
from console.model.audits import TOPIC, AuditRun

TIMEOUT_S = 2.0
POLL_MS = 200
# The newest runs; an older one is still found by its number.
MAX_RUNS = 50
# There is one run a day: they are read when the topic has changed, or after this time, because a topic that was made
# anew may have as many.
READ_AGAIN_S = 3600.0

_PLACE = TopicPartition(TOPIC, 0)


class AuditReports:
    """Reads the runs with a connection for each question, because there is one run a day. Raises NoAnswer."""

    def __init__(self, **connection: Any) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()
        self._runs: list[AuditRun] = []
        self._bounds = (0, 0)
        self._read_at = self._asked_at = float("-inf")

    async def runs(self, max_age_s: float = 0.0) -> list[AuditRun]:
        """Return the newest runs, newest first, without their findings; as they were read at most so long ago."""
        async with self._turn:
            if time.monotonic() - self._asked_at >= max_age_s:
                async with self._reading() as consumer:
                    bounds = await _bounds(consumer)
                    if bounds != self._bounds or time.monotonic() - self._read_at >= READ_AGAIN_S:
                        await self._read(consumer, *bounds)
                self._asked_at = time.monotonic()
            return self._runs

    async def _read(self, consumer: AIOKafkaConsumer, begin: int, end: int) -> None:
        records = await _records(consumer, max(begin, end - MAX_RUNS), end)
        parsed = [AuditRun.read(record.offset, record.value) for record in records]
        found = [AuditRun(run.number, run.began_at, run.by, run.summary, ()) for run in parsed if run]
        self._runs, self._bounds, self._read_at = found[::-1], (begin, end), time.monotonic()

    async def run(self, number: int) -> AuditRun | None:
        """Return one run with its findings, or None if the topic does not have it."""
        async with self._reading() as consumer:
            begin, end = await _bounds(consumer)
            if not begin <= number < end:
                return None
            records = await _records(consumer, number, number + 1)
            return next((AuditRun.read(number, record.value) for record in records), None)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = make_consumer(AIOKafkaConsumer, **self._connection, enable_auto_commit=False)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await consumer.start()
                yield consumer
        except TimeoutError:
            raise NoAnswer(f"no answer in {TIMEOUT_S:g} s") from None
        except (KafkaError, OSError) as error:
            raise NoAnswer(type(error).__name__) from None
        finally:
            with suppress(KafkaError, OSError, TimeoutError):
                await consumer.stop()


async def _bounds(consumer: AIOKafkaConsumer) -> tuple[int, int]:
    """Return where the topic begins and ends; nothing before it exists: the first run makes it."""
    if TOPIC not in await consumer.topics():
        return 0, 0
    begins, ends = await consumer.beginning_offsets([_PLACE]), await consumer.end_offsets([_PLACE])
    return begins[_PLACE], ends[_PLACE]


async def _records(consumer: AIOKafkaConsumer, start: int, end: int) -> list[Any]:
    if start >= end:
        return []
    consumer.assign([_PLACE])
    consumer.seek(_PLACE, start)
    found: list[Any] = []
    while await consumer.position(_PLACE) < end:
        for records in (await consumer.getmany(_PLACE, timeout_ms=POLL_MS)).values():
            found += [record for record in records if record.offset < end]
    return found

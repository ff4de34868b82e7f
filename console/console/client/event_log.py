"""Kafka, read without a group: the records about one order, on the topics of the saga and their dead letter topics."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from chassis.events import Message
from chassis.kafka.batches import make_consumer
from chassis.kafka.topic_settings import DLQ_SUFFIX, dlq
from console.client.admin_api import NoAnswer
from console.client.backlog import Offsets, committed_offsets
from console.model.facts import Record
from console.model.saga import PRODUCERS

TIMEOUT_S = 2.0
# Of the records since the order was placed, so many are looked at in each partition, or for so long in all of them.
MAX_RECORDS = 20_000
MAX_READ_S = 1.0
POLL_MS = 100
# The broker answers the requests of a connection in turn: a fetch that waits for records holds up the questions.
FETCH_WAIT_MS = 20
# The clocks of database and broker differ by less.
SLACK = timedelta(seconds=5)


class EventLog:
    """One consumer that joins no group and commits nothing. Requests take turns: they share its positions."""

    def __init__(self, **connection: Any) -> None:
        self._connection = connection
        self._consumer: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._turn = asyncio.Lock()

    async def of_order(self, order_id: int, since: datetime) -> list[Record]:
        """Read the records about an order that was placed at `since`. Raises NoAnswer.

        Each topic has them in one partition, that of the order's key. Those that were written before a topic got more
        partitions are not found.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S), self._turn:
                return await self._read(f"order-{order_id}".encode(), since - SLACK)
        except TimeoutError:
            raise NoAnswer(f"no answer in {TIMEOUT_S:g} s") from None
        except (KafkaError, OSError) as error:
            await self.close()
            raise NoAnswer(type(error).__name__) from None

    async def _read(self, key: bytes, since: datetime) -> list[Record]:
        consumer, admin = await self._opened()
        places = await _places(admin, key)
        # Learns the leaders of all topics at once; the questions would do it topic by topic, 0.1 s each.
        consumer.assign(places)
        ends, done = await asyncio.gather(consumer.end_offsets(places), _done(admin))
        begins = await consumer.offsets_for_times({place: int(since.timestamp() * 1000) for place in places})
        starts = {place: found.offset for place, found in begins.items() if found and found.offset < ends[place]}
        consumer.assign(list(starts))
        for place, start in starts.items():
            consumer.seek(place, start)
        last = {place: min(ends[place], start + MAX_RECORDS) for place, start in starts.items()}
        found: list[Record] = []
        left, deadline = set(starts), time.monotonic() + MAX_READ_S
        try:
            while left and time.monotonic() < deadline:
                for records in (await consumer.getmany(*left, timeout_ms=POLL_MS)).values():
                    found += [_record(record, done) for record in records if record.key == key]
                left = {place for place in left if await consumer.position(place) < last[place]}
        finally:
            # Else it goes on fetching.
            consumer.unsubscribe()
        return found

    async def _opened(self) -> tuple[AIOKafkaConsumer, AIOKafkaAdminClient]:
        if self._consumer is None or self._admin is None:
            consumer = make_consumer(
                AIOKafkaConsumer, **self._connection, enable_auto_commit=False, fetch_max_wait_ms=FETCH_WAIT_MS
            )
            admin = AIOKafkaAdminClient(**self._connection, request_timeout_ms=int(TIMEOUT_S * 1000))
            try:
                await consumer.start()
                await admin.start()
            except BaseException:
                await _close(consumer.stop, admin.close)
                raise
            self._consumer, self._admin = consumer, admin
        return self._consumer, self._admin

    async def close(self) -> None:
        consumer, admin, self._consumer, self._admin = self._consumer, self._admin, None, None
        if consumer is not None and admin is not None:
            await _close(consumer.stop, admin.close)


async def _close(*closes: Any) -> None:
    for close in closes:
        with suppress(KafkaError, OSError, TimeoutError):
            await close()


async def _places(admin: AIOKafkaAdminClient, key: bytes) -> list[TopicPartition]:
    """Return the partition of the key in each topic that exists."""
    topics = [name for topic in PRODUCERS for name in (topic, dlq(topic))]
    number = murmur2(key) & 0x7FFFFFFF
    described: Iterable[dict[str, Any]] = await admin.describe_topics(topics)
    return [
        TopicPartition(topic["topic"], number % len(topic["partitions"]))
        for topic in described
        if not topic["error_code"] and topic["partitions"]
    ]


async def _done(admin: AIOKafkaAdminClient) -> Mapping[str, Offsets]:
    """Return what each group has committed; nothing while a broker looks for a group's coordinator."""
    try:
        return await committed_offsets(admin)
    except KafkaError:
        return {}


def _record(record: Any, done: Mapping[str, Offsets]) -> Record:
    headers = [(name, value or b"") for name, value in record.headers]
    named = {name.lower(): value.decode("utf-8", "replace") for name, value in headers}
    topic: str = record.topic.removesuffix(DLQ_SUFFIX)
    if record.topic != topic and not named.get("ce_id") and named.get("x-event-id"):
        # A letter keeps the id that its message had at its place.
        headers.append(("ce_id", named["x-event-id"].encode()))
    message = Message.received(
        topic, record.partition, record.offset, record.key, record.value, headers, record.timestamp
    )
    committed = None
    with suppress(ValueError):
        committed = datetime.fromisoformat(named.get("ce_time", "")).astimezone(UTC)
    published = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    is_letter, place = record.topic != topic, TopicPartition(record.topic, record.partition)
    return Record(
        topic,
        message.event_id,
        message.identity,
        record.partition,
        record.offset,
        committed,
        published,
        named.get("x-reason", "unknown") if is_letter else None,
        named.get("x-error") if is_letter else None,
        named.get("x-handler") if is_letter else None,
        frozenset(group for group in done if record.offset < done[group].get(place, 0)),
    )

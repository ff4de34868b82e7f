"""The records about one order, on the topics of the saga and their dead letter topics."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from chassis.events import Message
from chassis.kafka.topic_settings import DLQ_SUFFIX, dlq
from console.client.backlog import Offsets, committed_offsets
from console.client.kafka import KafkaReader, learn
from console.model.facts import CLOCK_SKEW, Record
from console.model.keys import time_of
from console.model.saga import PRODUCERS

# The most records that are read in each partition, and the longest time for all of them.
MAX_RECORDS = 20_000
MAX_READ_S = 1.0
POLL_MS = 100
# The orders whose records are kept, the most records of one, and after how long all is read again, because a topic may
# have been made anew.
MAX_KEPT = 100
MAX_KEPT_RECORDS = 500
KEPT_S = 60.0


@dataclass(slots=True)
class _Reading:
    """What was read of an order: the offset that is read next in each partition, and the records before it."""

    since: datetime
    read_to: dict[TopicPartition, int]
    begun_at: float
    found: list[Record] = field(default_factory=list)
    # What reads all again, and takes the place of this reading when it has caught up.
    again: "_Reading | None" = None

    def goes_on(self, since: datetime, ends: Offsets) -> bool:
        """Say whether a reading since a time, in the partitions that have these ends, may go on from here."""
        return (
            since >= self.since
            and self.read_to.keys() == ends.keys()
            and all(offset <= ends[place] for place, offset in self.read_to.items())
        )

    def has_caught_up(self, other: "_Reading") -> bool:
        """Say whether another reading, in the same partitions, has come no further."""
        return all(offset >= other.read_to[place] for place, offset in self.read_to.items())


class OrderRecords(KafkaReader):
    """The records about orders. For an order that is looked at again only what is new is read."""

    def __init__(self, **connection: Any) -> None:
        super().__init__(**connection)
        self._readings: dict[int, _Reading] = {}

    async def of_order(self, order_id: int, since: datetime) -> tuple[list[Record], bool]:
        """Return the records about an order since it was placed, and whether all were read. Raises NoAnswer.

        Each topic has them in one partition, that of the order's key. Those that were written before a topic got more
        partitions are not found.
        """
        key = f"order-{order_id}".encode()
        async with self.turn() as (consumer, admin):
            places, done = await asyncio.gather(partitions_of(admin, key), _done(admin))
            learn(consumer, places)
            ends = await consumer.end_offsets(places)
            # A reading that fails is not kept.
            reading = await _look(consumer, self._readings.pop(order_id, None), key, since - CLOCK_SKEW, ends)
            self._keep(order_id, reading)
            return [_with_done(record, done) for record in reading.found], reading.read_to == ends

    def _keep(self, order_id: int, reading: _Reading) -> None:
        if len(reading.found) <= MAX_KEPT_RECORDS:
            self._readings[order_id] = reading
        if len(self._readings) > MAX_KEPT:
            # The one that was looked at longest ago.
            del self._readings[next(iter(self._readings))]


async def _look(
    consumer: AIOKafkaConsumer, reading: _Reading | None, key: bytes, since: datetime, ends: Offsets
) -> _Reading:
    """Read on what is kept of an order, and all again when that is old. Return which of both has come further."""
    deadline = time.monotonic() + MAX_READ_S
    reading = await _from(consumer, reading, since, ends)
    await _read_on(consumer, reading, key, ends, deadline)
    if time.monotonic() - reading.begun_at < KEPT_S:
        return reading
    again = reading.again = await _from(consumer, reading.again, since, ends)
    await _read_on(consumer, again, key, ends, deadline)
    return again if again.has_caught_up(reading) else reading


async def _from(consumer: AIOKafkaConsumer, kept: _Reading | None, since: datetime, ends: Offsets) -> _Reading:
    """Return the reading that is kept, or a new one from a time on."""
    if kept is None or not kept.goes_on(since, ends):
        return _Reading(since, dict(await _starts(consumer, since, ends)), time.monotonic())
    if since > kept.since and kept.read_to != ends:
        # It began before the order: orderfc and paymentfc were away, and nobody knew when that was placed.
        starts = await _starts(consumer, since, ends)
        kept.since, kept.read_to = since, {place: max(at, starts[place]) for place, at in kept.read_to.items()}
    return kept


async def _starts(consumer: AIOKafkaConsumer, since: datetime, ends: Offsets) -> Offsets:
    """Return where the records since a time are, and the end of a partition that had none when it was asked."""
    begins = await consumer.offsets_for_times({place: int(since.timestamp() * 1000) for place in ends})
    return {place: min(found.offset, end) if (found := begins[place]) else end for place, end in ends.items()}


async def _read_on(consumer: AIOKafkaConsumer, reading: _Reading, key: bytes, ends: Offsets, deadline: float) -> None:
    """Read up to the ends, or as far as the bounds allow."""
    last = {place: min(ends[place], start + MAX_RECORDS) for place, start in reading.read_to.items()}
    left = {place for place, start in reading.read_to.items() if start < last[place]}
    if not left:
        return
    consumer.assign(list(left))
    for place in left:
        consumer.seek(place, reading.read_to[place])
    while left and time.monotonic() < deadline:
        for place, records in (await consumer.getmany(*left, timeout_ms=POLL_MS)).items():
            new = [_record(record) for record in records if record.key == key and record.offset < ends[place]]
            reading.found += new
        for place in left:
            reading.read_to[place] = min(await consumer.position(place), ends[place])
        left = {place for place in left if reading.read_to[place] < last[place]}


async def partitions_of(admin: AIOKafkaAdminClient, key: bytes) -> list[TopicPartition]:
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


def _record(record: Any) -> Record:
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
    with suppress(ValueError, OverflowError):
        committed = datetime.fromisoformat(named.get("ce_time", "")).astimezone(UTC)
    is_letter = record.topic != topic
    return Record(
        topic,
        message.event_id,
        message.identity,
        record.partition,
        record.offset,
        committed,
        time_of(record),
        named.get("x-reason", "unknown") if is_letter else None,
        named.get("x-error") if is_letter else None,
        named.get("x-handler") if is_letter else None,
    )


def _with_done(record: Record, done: Mapping[str, Offsets]) -> Record:
    """Add the groups that have committed an offset behind the record."""
    place = TopicPartition(record.topic if record.reason is None else dlq(record.topic), record.partition)
    return replace(record, done_by=frozenset(name for name in done if record.offset < done[name].get(place, 0)))

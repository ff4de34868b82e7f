"""The records of any topic, read from any place, within bounds."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from chassis.events import Unreadable
from console.client.kafka import KafkaReader, learn
from console.client.order_records import MAX_READ_S, MAX_RECORDS, POLL_MS, partitions_of
from console.model.groups import Topic
from console.model.keys import time_of
from console.model.records import Event, Positions, Reading, first_of

# The records of one page.
SHOWN = 50
# More partitions than any topic of the platform has.
MAX_PARTITIONS = 1_000


class Topics:
    """Reads topics. Each call raises NoAnswer when Kafka does not answer in time."""

    def __init__(self, kafka: KafkaReader) -> None:
        self._kafka = kafka

    async def all(self) -> list[Topic]:
        """List the topics with what they keep."""
        async with self._kafka.turn() as (consumer, admin):
            described = sorted(await admin.describe_topics(), key=lambda each: str(each["topic"]))
            readable = [each for each in described if not each["error_code"] and not each["topic"].startswith("__")]
            places = [place for each in readable for place in _places(each)][:MAX_PARTITIONS]
            learn(consumer, places)
            begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
            return [_topic(each, begins, ends) for each in readable]

    async def newest(self, topic: str) -> Reading:
        """Read the last records of a topic."""
        async with self._kafka.turn() as (consumer, admin):
            places = await _existing(admin, topic)
            begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
            starts = {place: max(begins[place], ends[place] - SHOWN) for place in places}
            found, _ = await _read(consumer, starts, ends, SHOWN)
            shown, _ = first_of(found, len(found))
            return Reading(shown[-SHOWN:], _plain(ends), more=False)

    async def since(self, topic: str, moment: datetime) -> Reading:
        """Read the first records of a topic since a time."""
        async with self._kafka.turn() as (consumer, admin):
            places = await _existing(admin, topic)
            return await _page(consumer, await _at(consumer, places, moment))

    async def onwards(self, positions: Positions) -> Reading:
        """Read the first records behind positions."""
        async with self._kafka.turn() as (consumer, admin):
            existing = {place for topic in {topic for topic, _ in positions} for place in await _existing(admin, topic)}
            starts = {TopicPartition(*place): offset for place, offset in positions.items()}
            return await _page(consumer, {place: offset for place, offset in starts.items() if place in existing})

    async def record(self, topic: str, partition: int, offset: int) -> Event | None:
        """Read one record, or None if the topic does not keep it."""
        place = TopicPartition(topic, partition)
        async with self._kafka.turn() as (consumer, admin):
            if place not in await _existing(admin, topic):
                return None
            begins, ends = await consumer.beginning_offsets([place]), await consumer.end_offsets([place])
            if not begins[place] <= offset < ends[place]:
                return None
            found, _ = await _read(consumer, {place: offset}, ends, 1)
            return next((event for event in found if event.offset == offset), None)

    async def of_key(self, key: str, since: datetime | Positions) -> Reading:
        """Look for the records of a key on the topics of the saga, in the partition of the key."""
        async with self._kafka.turn() as (consumer, admin):
            places = await partitions_of(admin, key.encode())
            learn(consumer, places)
            if isinstance(since, datetime):
                starts = await _at(consumer, places, since)
            else:
                starts = {place: since[place.topic, place.partition] for place in places if tuple(place) in since}
            ends = await consumer.end_offsets(list(starts)) if starts else {}
            found, reached = await _read(consumer, starts, ends, MAX_RECORDS, key.encode())
            shown, left_out = first_of(found, SHOWN)
            return _reading(shown, reached, left_out, ends)


async def _existing(admin: AIOKafkaAdminClient, topic: str) -> list[TopicPartition]:
    return [place for each in await admin.describe_topics([topic]) if not each["error_code"] for place in _places(each)]


def _places(described: Mapping[str, Any]) -> list[TopicPartition]:
    return sorted(TopicPartition(described["topic"], each["partition"]) for each in described["partitions"])


def _topic(described: Mapping[str, Any], begins: Mapping[Any, int], ends: Mapping[Any, int]) -> Topic:
    places = [place for place in _places(described) if place in ends]
    kept, end = sum(ends[place] - begins[place] for place in places), sum(ends[place] for place in places)
    return Topic(described["topic"], len(described["partitions"]), kept, end)


async def _at(
    consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], moment: datetime
) -> dict[TopicPartition, int]:
    """Return where the records since a time begin; the end of a partition that has none."""
    if not places:
        return {}
    found = await consumer.offsets_for_times({place: max(int(moment.timestamp() * 1000), 0) for place in places})
    ends = await consumer.end_offsets(list(places))
    return {place: each.offset if (each := found.get(place)) else ends[place] for place in places}


async def _page(consumer: AIOKafkaConsumer, starts: dict[TopicPartition, int]) -> Reading:
    if not starts:
        return Reading([], {}, more=False)
    begins, ends = await consumer.beginning_offsets(list(starts)), await consumer.end_offsets(list(starts))
    kept = {place: min(max(start, begins[place]), ends[place]) for place, start in starts.items()}
    found, reached = await _read(consumer, kept, ends, SHOWN)
    shown, left_out = first_of(found, SHOWN)
    return _reading(shown, reached, left_out, ends)


def _reading(shown: list[Event], reached: Mapping[Any, int], left_out: Positions, ends: Mapping[Any, int]) -> Reading:
    positions = {**_plain(reached), **left_out}
    return Reading(shown, positions, more=any(positions[tuple(place)] < end for place, end in ends.items()))


def _plain(positions: Mapping[Any, int]) -> dict[tuple[str, int], int]:
    return {(place.topic, place.partition): offset for place, offset in positions.items()}


async def _read(
    consumer: AIOKafkaConsumer,
    starts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    each: int,
    key: bytes | None = None,
) -> tuple[list[Event], dict[TopicPartition, int]]:
    """Read `each` records of each partition, for at most MAX_READ_S; return those of the key, and how far it came."""
    reached = dict(starts)
    last = {place: min(ends[place], start + each) for place, start in starts.items()}
    left = {place for place in starts if reached[place] < last[place]}
    consumer.assign(list(left))
    for place in left:
        consumer.seek(place, starts[place])
    found: list[Event] = []
    deadline = time.monotonic() + MAX_READ_S
    while left and time.monotonic() < deadline:
        for place, records in (await consumer.getmany(*left, timeout_ms=POLL_MS)).items():
            found += _events(record for record in records if record.offset < last[place] and key in (None, record.key))
        for place in left:
            reached[place] = min(await consumer.position(place), last[place])
        left = {place for place in left if reached[place] < last[place]}
    return found, reached


def _events(records: Iterable[Any]) -> list[Event]:
    return [_event(record) for record in records]


def _event(record: Any) -> Event:
    unreadable = record.value.cause if isinstance(record.value, Unreadable) else None
    return Event(
        record.topic,
        record.partition,
        record.offset,
        time_of(record),
        record.key,
        tuple((name, value or b"") for name, value in record.headers or ()),
        None if unreadable is not None else record.value,
        unreadable,
    )

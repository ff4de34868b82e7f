"""Kafka, read without a group: the messages, the dead letters, and the committed offsets of the groups."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from chassis.config.connections import KafkaSettings
from chassis.events import Message, Unreadable
from chassis.kafka.batches import make_consumer
from chassis.kafka.connection import connection
from chassis.kafka.errors import is_broker_trouble
from fc.audit.reading.spill import Letter, Sighting, Spill
from fc.audit.watch import Watch
from fc.platform.errors import CouldNotCheck
from fc.platform.topics import CONSUMERS, DEAD_LETTERS, GROUPS, PRODUCERS, letter_event, order_in, time_of

REQUEST_MS = 10_000
COORDINATOR_S = 10
COORDINATOR_POLL_S = 0.2
BATCH = 5_000
POLL_MS = 1_000
# A partition with more records that returns none in so many polls does not answer.
SILENT_POLLS = 20
SERVICES = frozenset(PRODUCERS.values())

Ends = Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class Gap:
    """Records that can't be unpacked; their time is that of the audit."""

    place: str
    cause: str
    time: datetime


@dataclass(slots=True)
class Scan:
    """The state of the topics besides their messages.

    `kept_since`: topic -> time since which no message was deleted, for topics that have lost some. `waiting`: (group,
    topic, partition) -> (number of messages that the group has not consumed, time of the oldest). `unreadable`: the
    places of records that can't be unpacked.
    """

    kept_since: dict[str, datetime] = field(default_factory=dict)
    waiting: dict[tuple[str, str, int], tuple[int, datetime]] = field(default_factory=dict)
    unreadable: list[Gap] = field(default_factory=list)


class Broker:
    """A connection that commits nothing and joins no group."""

    def __init__(self, address: str, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        self._address = address
        self._consumer = consumer
        self._admin = admin

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: KafkaSettings) -> AsyncIterator[Self]:
        """Connect. Raises CouldNotCheck, as every method does."""
        address, reached = settings.kafka_broker, connection(settings)
        consumer = make_consumer(
            **reached,
            client_id="fc-audit",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            request_timeout_ms=REQUEST_MS,
            max_partition_fetch_bytes=2 * 1024 * 1024,
            fetch_max_wait_ms=100,
        )
        admin = AIOKafkaAdminClient(**reached, client_id="fc-audit", request_timeout_ms=REQUEST_MS)
        try:
            with _failures(address):
                await consumer.start()
                await admin.start()
            yield cls(address, consumer, admin)
        finally:
            for client in (admin.close, consumer.stop):
                with suppress(KafkaError, OSError, TimeoutError):
                    await client()

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Return the partitions of topics. Raises CouldNotCheck for a topic that does not exist."""
        with _failures(self._address):
            answer = await self._admin.describe_topics(list(topics))
        partitions = []
        for described in answer:
            if described["error_code"]:
                raise CouldNotCheck(f"Kafka has no topic {described['topic']}")
            partitions += [TopicPartition(described["topic"], item["partition"]) for item in described["partitions"]]
        return sorted(partitions)

    async def committed(self) -> dict[tuple[str, str, int], int]:
        """Return the committed offset per (group, topic, partition), for the topics that a group consumes."""
        offsets = {}
        for group in GROUPS:
            for partition, state in (await self._offsets(group)).items():
                if group in CONSUMERS.get(partition.topic, ()):
                    offsets[group, partition.topic, partition.partition] = max(state.offset, 0)
        return offsets

    async def _offsets(self, group: str) -> dict[TopicPartition, Any]:
        """Return the offsets of a group; a broker that has just started needs a moment to find its coordinator."""
        deadline = time.monotonic() + COORDINATOR_S
        while True:
            try:
                with _failures(self._address):
                    return dict(await self._admin.list_consumer_group_offsets(group))
            except CouldNotCheck as error:
                if not is_broker_trouble(error.__cause__ or error) or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(COORDINATOR_POLL_S)

    async def bounds(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """Return the first offset that is kept and the end of each partition, as of now. It ends a `scan`."""
        with _failures(self._address):
            learn(self._consumer, partitions)
            begins = await self._consumer.beginning_offsets(partitions)
            ends = await self._consumer.end_offsets(partitions)
        return {partition: (begins[partition], ends[partition]) for partition in partitions}

    async def scan(self, spill: Spill, committed: Mapping[tuple[str, str, int], int], watch: Watch) -> Scan:
        """Read all topics from their beginning to their present end into the spill."""
        partitions = await self.partitions((*PRODUCERS, *DEAD_LETTERS))
        bounds = await self.bounds(partitions)
        ends = {partition: end for partition, (_, end) in bounds.items()}
        result = _Reader(spill, bounds, committed)
        watch.stage("reading Kafka", sum(end - begin for begin, end in bounds.values()))
        open_ = {partition for partition in partitions if bounds[partition][0] < bounds[partition][1]}
        self._consumer.assign(open_)
        with _failures(self._address):
            while open_:
                for partition, records in (await self._next(open_, ends)).items():
                    result.take(partition, [record for record in records if record.offset < ends[partition]])
                    watch.advance(len(records))
                open_ = await self._unread(open_, ends)
        return result.result()

    async def _unread(self, partitions: Collection[TopicPartition], ends: Ends) -> set[TopicPartition]:
        return {partition for partition in partitions if await self._consumer.position(partition) < ends[partition]}

    async def _next(self, partitions: Collection[TopicPartition], ends: Ends) -> dict[TopicPartition, list[Any]]:
        """Return the next records; none when a partition has only what is no record, such as an aborted transaction."""
        for _ in range(SILENT_POLLS):
            if records := await self._consumer.getmany(*partitions, timeout_ms=POLL_MS, max_records=BATCH):
                return dict(records)
            if await self._unread(partitions, ends) != set(partitions):
                return {}
        raise CouldNotCheck(f"Kafka returns no records of {min(partitions).topic}")


def learn(consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
    """Ask for the leaders of all topics at once, not topic by topic, 0.1 s each. Nothing is fetched: all are paused."""
    consumer.assign(partitions)
    consumer.pause(*partitions)


@contextmanager
def _failures(address: str) -> Iterator[None]:
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise CouldNotCheck(f"Kafka at {address}: {error!r}") from error


class _Reader:
    """Sorts records into messages and dead letters, and counts the messages that the groups have not consumed."""

    def __init__(
        self, spill: Spill, bounds: dict[TopicPartition, tuple[int, int]], committed: Mapping[tuple[str, str, int], int]
    ) -> None:
        self._spill = spill
        self._bounds = bounds
        self._committed = committed
        self._first: dict[TopicPartition, datetime] = {}
        self._oldest: dict[tuple[str, str, int], datetime] = {}
        self._unreadable: list[Gap] = []

    def take(self, partition: TopicPartition, records: Sequence[Any]) -> None:
        if not records:
            return
        self._first.setdefault(partition, time_of(records[0]))
        self._unreadable += [_gap(record) for record in records if isinstance(record.value, Unreadable)]
        self._sort(partition, [record for record in records if not isinstance(record.value, Unreadable)])
        for group in CONSUMERS.get(partition.topic, ()):
            place = (group, partition.topic, partition.partition)
            if place not in self._oldest and records[-1].offset >= self._committed.get(place, 0):
                first = next(record for record in records if record.offset >= self._committed.get(place, 0))
                self._oldest[place] = time_of(first)

    def _sort(self, partition: TopicPartition, records: Sequence[Any]) -> None:
        if partition.topic in DEAD_LETTERS:
            self._spill.add_letters([_letter(record) for record in records])
        else:
            self._spill.add_messages([_sighting(record) for record in records])

    def result(self) -> Scan:
        scan = Scan(unreadable=self._unreadable)
        for partition, (begin, _) in self._bounds.items():
            if begin > 0:
                first = self._first.get(partition, datetime.now(UTC))
                scan.kept_since[partition.topic] = max(scan.kept_since.get(partition.topic, first), first)
        for place, oldest in self._oldest.items():
            begin, end = self._bounds[TopicPartition(place[1], place[2])]
            scan.waiting[place] = (end - max(self._committed.get(place, 0), begin), oldest)
        return scan


def _gap(record: Any) -> Gap:
    first, last, cause = record.value
    offsets = f"{first}" if first == last else f"{first}-{last}"
    return Gap(f"{record.topic}[{record.partition}]@{offsets}", cause, time_of(record))


def _sighting(record: Any) -> Sighting:
    message = Message.received(
        record.topic, record.partition, record.offset, record.key, record.value, record.headers, record.timestamp
    )
    own = message.headers.get("ce_source") in SERVICES and "ce_id" in message.headers
    place = (record.topic, record.partition, record.offset, time_of(record))
    return Sighting(message.identity, message.event_id, *place, order_in(message.key), own)


def _letter(record: Any) -> Letter:
    headers = {name.lower(): (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    topic = headers.get("x-source-topic") or DEAD_LETTERS[record.topic]
    message = letter_event(topic, record)
    return Letter(
        identity=message.identity,
        event_id=message.event_id,
        service=headers.get("x-handler", "").partition(".")[0],
        place=f"{record.topic}[{record.partition}]@{record.offset}",
        order_id=order_in(message.key),
        reason=headers.get("x-reason", "unknown"),
        error=headers.get("x-error", ""),
        time=time_of(record),
    )

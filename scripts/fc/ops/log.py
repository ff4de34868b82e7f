"""Kafka for the operator's commands: whole topics read without a group, single records, acknowledged sends."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from chassis.kafka.batches import make_consumer
from chassis.kafka.topics import MAX_REQUEST_BYTES
from fc.stack.errors import StackError

REQUEST_MS = 10_000
POLL_MS = 1_000
BATCH = 1_000
# A partition with more records that returns none in so many polls does not answer.
SILENT_POLLS = 15
# Of each partition, in the search for a key: a tenth of a second's reading.
LOOKED_AT = 50_000

Headers = Sequence[tuple[str, bytes]]
Ends = Mapping[TopicPartition, int]


class Log:
    """A connection that commits no offset and joins no group. Every call raises StackError when Kafka fails."""

    def __init__(self, address: str, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        self._address = address
        self._consumer = consumer
        self._admin = admin
        self._producer: AIOKafkaProducer | None = None

    @classmethod
    @asynccontextmanager
    async def opened(cls, address: str | None) -> AsyncIterator[Self]:
        if address is None:
            raise StackError("no broker is configured: KAFKA_BROKER is empty")
        consumer = _consumer(address)
        admin = AIOKafkaAdminClient(bootstrap_servers=address, client_id="fc-ops", request_timeout_ms=REQUEST_MS)
        log = cls(address, consumer, admin)
        try:
            with log._failures():
                await consumer.start()
                await admin.start()
            yield log
        finally:
            for close in (admin.close, consumer.stop, log._stop_producer):
                with suppress(KafkaError, OSError, TimeoutError):
                    await close()

    async def _stop_producer(self) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def _described(self, topic: str) -> dict[str, Any] | None:
        with self._failures():
            [described] = await self._admin.describe_topics([topic])
            code = described["error_code"]
            if code and for_code(code) is not UnknownTopicOrPartitionError:
                raise for_code(code)(f"topic {topic}")
        return None if code else dict(described)

    async def read(self, topic: str) -> list[Any]:
        """Return all records that are on a topic now, by partition and offset; none for a topic that does not exist."""
        described = await self._described(topic)
        if described is None:
            return []
        partitions = sorted(TopicPartition(topic, item["partition"]) for item in described["partitions"])
        with self._failures():
            begins = await self._consumer.beginning_offsets(partitions)
            ends = await self._consumer.end_offsets(partitions)
            open_ = {partition for partition in partitions if begins[partition] < ends[partition]}
            self._consumer.assign(open_)
            result: list[Any] = []
            while open_:
                for partition, records in (await self._next(open_, ends)).items():
                    result += [record for record in records if record.offset < ends[partition]]
                open_ = await self._unread(open_, ends)
        return sorted(result, key=lambda record: (record.partition, record.offset))

    async def of_key(self, topic: str, key: bytes, since: datetime, limit: int = LOOKED_AT) -> tuple[list[Any], bool]:
        """Return the records of a key that are on a topic now and not older than `since`, and whether all were read.

        It looks at `limit` records of each partition at most, because the number of partitions, and so the partition of
        a key, may have changed.
        """
        described = await self._described(topic)
        if described is None:
            return [], True
        partitions = [TopicPartition(topic, item["partition"]) for item in described["partitions"]]
        with self._failures():
            ends = await self._consumer.end_offsets(partitions)
            begins = await self._consumer.offsets_for_times(
                {each: int(since.timestamp() * 1000) for each in partitions}
            )
            starts = {each: found.offset for each, found in begins.items() if found and found.offset < ends[each]}
            last = {each: min(ends[each], start + limit) for each, start in starts.items()}
            open_ = set(starts)
            self._consumer.assign(open_)
            for each, start in starts.items():
                self._consumer.seek(each, start)
            result: list[Any] = []
            while open_:
                for partition, records in (await self._next(open_, last)).items():
                    result += [record for record in records if record.key == key and record.offset < last[partition]]
                open_ = await self._unread(open_, last)
        return result, all(last[each] == ends[each] for each in starts)

    async def record(self, topic: str, partition: int, offset: int) -> Any | None:
        """Return one record; None when the topic does not hold it."""
        described = await self._described(topic)
        if described is None or partition not in {item["partition"] for item in described["partitions"]}:
            return None
        place = TopicPartition(topic, partition)
        with self._failures():
            begin = (await self._consumer.beginning_offsets([place]))[place]
            end = (await self._consumer.end_offsets([place]))[place]
            if not begin <= offset < end:
                return None
            self._consumer.assign([place])
            self._consumer.seek(place, offset)
            records = (await self._next({place}, {place: end})).get(place, [])
        return records[0] if records and records[0].offset == offset else None

    async def _unread(self, partitions: set[TopicPartition], ends: Ends) -> set[TopicPartition]:
        return {partition for partition in partitions if await self._consumer.position(partition) < ends[partition]}

    async def _next(self, partitions: set[TopicPartition], ends: Ends) -> dict[TopicPartition, list[Any]]:
        """Return the next records; none when a partition has only what is no record, such as a transaction's marker."""
        for _ in range(SILENT_POLLS):
            if records := await self._consumer.getmany(*partitions, timeout_ms=POLL_MS, max_records=BATCH):
                return dict(records)
            if await self._unread(partitions, ends) != partitions:
                return {}
        raise StackError(f"Kafka at {self._address} returns no records of {min(partitions).topic}")

    async def make(self, topic: str, like: str, configs: dict[str, str]) -> None:
        """Create a topic with one partition and as many replicas as another topic has, unless it exists."""
        if await self._described(topic):
            return
        model = await self._described(like)
        replicas = len(model["partitions"][0]["replicas"]) if model else 1
        with self._failures():
            answer = await self._admin.create_topics([NewTopic(topic, 1, replicas, topic_configs=configs)])
            for _, code, *_ in answer.topic_errors:
                if code and for_code(code) is not TopicAlreadyExistsError:
                    raise for_code(code)(f"topic {topic}")

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> None:
        """Send one record and wait until all replicas have it."""
        with self._failures():
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._address,
                    client_id="fc-ops",
                    acks="all",
                    linger_ms=0,
                    request_timeout_ms=REQUEST_MS,
                    max_request_size=MAX_REQUEST_BYTES,
                )
                self._producer = producer
                await producer.start()
            await self._producer.send_and_wait(topic, value, key, headers=list(headers))

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (KafkaError, OSError, TimeoutError) as error:
            cause = str(error) or type(error).__name__
            raise StackError(f"Kafka at {self._address}: {cause}; `fc status` shows what runs") from error


def _consumer(address: str) -> AIOKafkaConsumer:
    return make_consumer(
        bootstrap_servers=address,
        client_id="fc-ops",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=REQUEST_MS,
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=MAX_REQUEST_BYTES,
    )

"""The producer: it waits for each acknowledgement, and connects again after aiokafka's sender has died."""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple, Self

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import BrokerResponseError, KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from chassis.config.settings import ProcessSettings
from chassis.kafka import sent
from chassis.kafka.answer_times import bound_connections
from chassis.kafka.connection import connection
from chassis.kafka.errors import is_broker_trouble
from chassis.kafka.topics import MAX_REQUEST_BYTES

log = structlog.get_logger(__name__)

START_TIMEOUT_S = 5
REQUEST_TIMEOUT_MS = 10_000
SEND_TIMEOUT_S = 12
STOP_TIMEOUT_S = 2

# The largest batch of several records. A topic's limit, 1,048,588 bytes by default, must not be below it.
BATCH_BYTES = 65_536

# Of murmur2.
_FACTOR, _MASK = 0x5BD1E995, 0xFFFFFFFF

Headers = list[tuple[str, bytes]]


class Place(NamedTuple):
    """Where a record, or the first one of a batch, is stored. The offset is -1 if the broker has not reported it."""

    partition: int
    offset: int


class Record(NamedTuple):
    """One record as it is sent; `size_bytes` is the most that it adds to a batch."""

    key: bytes
    value: bytes
    headers: Headers
    size_bytes: int

    @classmethod
    def of(cls, key: bytes, value: bytes, headers: Headers) -> Self:
        size_bytes = int(DefaultRecordBatchBuilder.estimate_size_in_bytes(key, value, headers))
        return cls(key, value, headers, size_bytes)


class Producer:
    """Sends with acks=all and linger 0; one send takes at most 12 s. Connects at the first send, and after it has died.

    aiokafka's idempotent mode is off on purpose: with the broker gone its send and its stop hang without end
    (measured), and the inbox absorbs the duplicates that plain acks=all can make.
    """

    def __init__(self, settings: ProcessSettings) -> None:
        self._connection = connection(settings)
        self._client_id = settings.service
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is not None:
            return self._producer
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._connection,
                    client_id=self._client_id,
                    acks="all",
                    linger_ms=0,
                    request_timeout_ms=REQUEST_TIMEOUT_MS,
                    # The same as for consumers, so that both use added partitions soon.
                    metadata_max_age_ms=30_000,
                    retry_backoff_ms=100,
                    max_batch_size=BATCH_BYTES,
                    max_request_size=MAX_REQUEST_BYTES,
                )
                bound_connections(producer.client, REQUEST_TIMEOUT_MS / 1000)
                try:
                    async with asyncio.timeout(START_TIMEOUT_S):
                        await producer.start()
                except BaseException:
                    await _bounded_stop(producer)
                    raise
                self._producer = producer
        return self._producer

    async def send(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Iterable[tuple[str, bytes]]
    ) -> Place:
        """Send one record and wait for its ack. Raises KafkaError, OSError or TimeoutError when there is none."""
        given = list(headers)
        return await self._acknowledged(
            topic, 1, lambda producer: producer.send(topic, value=value, key=key, headers=given)
        )

    async def send_batch(self, topic: str, partition: int, records: Sequence[Record]) -> Place:
        """Send records as one batch: all are stored, in this order, or none. Raises ValueError, or as `send`."""
        return await self._acknowledged(
            topic,
            len(records),
            lambda producer: producer.send_batch(_batch(producer, records), topic, partition=partition),
        )

    def partition_of(self, topic: str, key: str) -> int | None:
        """Return the partition that `send` chooses for a key, or None while the topic is unknown."""
        partitions = self._producer and self._producer.client.cluster.partitions_for_topic(topic)
        if not partitions:
            return None
        chosen = _hash(key) % len(partitions)
        # They are numbered from 0 on, unless the answer of the broker has left one out.
        return chosen if max(partitions) < len(partitions) else int(sorted(partitions)[chosen])

    async def _acknowledged(
        self, topic: str, count: int, send: Callable[[AIOKafkaProducer], Awaitable[asyncio.Future[Any]]]
    ) -> Place:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                stored = await self._send(await self._started(), send)
        except Exception as error:
            sent.failed(topic, count, error)
            raise
        sent.sent(topic, count)
        return stored

    async def _send(
        self, producer: AIOKafkaProducer, send: Callable[[AIOKafkaProducer], Awaitable[asyncio.Future[Any]]]
    ) -> Place:
        try:
            stored = await _result_of(await send(producer))
        except KafkaError as error:
            if _has_died(error) and self._producer is producer:
                log.error("the producer has died and is replaced", error=str(error))
                await self.close()
            raise
        return Place(stored.partition, stored.offset)

    async def ping(self) -> None:
        """Ask the broker for its metadata. Raises as `send` when it does not answer."""
        producer = await self._started()
        await producer.client.fetch_all_metadata()

    async def close(self) -> None:
        """Stop within 2 s, also when the broker does not answer. A later send connects again."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await _bounded_stop(producer)


# The events of an order have one key, and follow each other.
@lru_cache(maxsize=1024)
def _hash(key: str) -> int:
    """Return the number by which Kafka's clients choose the partition of a key: murmur2, without its sign.

    aiokafka has the same function, which takes bytes one by one and twice the time.
    """
    data = key.encode()
    rest = len(data) & ~3
    value = 0x9747B28C ^ len(data)
    for word in struct.unpack_from(f"<{rest // 4}I", data):
        mixed = word * _FACTOR & _MASK
        value = (value * _FACTOR ^ (mixed ^ mixed >> 24) * _FACTOR) & _MASK
    if rest < len(data):
        value = (value ^ int.from_bytes(data[rest:], "little")) * _FACTOR & _MASK
    value = (value ^ value >> 13) * _FACTOR & _MASK
    return (value ^ value >> 15) & 0x7FFFFFFF


def _batch(producer: AIOKafkaProducer, records: Sequence[Record]) -> BatchBuilder:
    batch = producer.create_batch()
    for record in records:
        if batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers) is None:
            raise ValueError("the records are larger than a batch")
    # Or aiokafka would add a record that is sent by itself.
    batch.close()
    return batch


async def _result_of(acknowledged: asyncio.Future[Any]) -> Any:
    """Wait for the result. Do not cancel the future with the caller: aiokafka sets it later.

    Of a batch it is a shield around another future. A cancelled shield takes no result, so that the error of a batch
    that fails after its caller has gone would be lost.
    """
    acknowledged.add_done_callback(_take_error)
    await asyncio.wait([acknowledged])
    return acknowledged.result()


def _take_error(acknowledged: asyncio.Future[Any]) -> None:
    if not acknowledged.cancelled():
        acknowledged.exception()


async def _bounded_stop(producer: AIOKafkaProducer) -> None:
    with suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await producer.stop()


def _has_died(error: KafkaError) -> bool:
    """Whether aiokafka's sender has ended for good, rather than the broker being away or refusing the record."""
    return not (is_broker_trouble(error) or isinstance(error, BrokerResponseError))

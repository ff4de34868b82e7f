"""One fetch of a partition: its records as messages, and what can't be unpacked in the place where it was."""

import asyncio

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, RecordTooLargeError

from chassis.events import Message, Unreadable
from chassis.kafka.errors import is_broker_trouble
from chassis.loops import wait_any

log = structlog.get_logger(__name__)

# A run is a part of one fetch, so this is also the most that one transaction applies. Some handlers hold a lock for
# each message of a run, on every partition: a PostgreSQL with its default settings has room for 6,400.
MAX_RECORDS = 200
# Between two fetches while the broker is in trouble.
PAUSE_S = 1.0


async def fetch(
    consumer: AIOKafkaConsumer, partition: TopicPartition, wait_s: float, stop: asyncio.Event
) -> list[Message]:
    """Return the next messages of a partition, none if none comes within `wait_s` or the broker is in trouble.

    Any other KafkaError is raised: the coordinator has given up, and the process must not go on without it.
    """
    try:
        return await _messages(consumer, partition, wait_s)
    except KafkaError as error:
        if not is_broker_trouble(error):
            raise
        log.warning("fetch failed", topic=partition.topic, error=str(error))
        await wait_any(PAUSE_S, stop)
        return []


async def _messages(consumer: AIOKafkaConsumer, partition: TopicPartition, wait_s: float) -> list[Message]:
    try:
        records = await consumer.getmany(partition, timeout_ms=int(wait_s * 1000), max_records=MAX_RECORDS)
    except RecordTooLargeError as error:
        # The batch that begins here is not whole, and its end not known. aiokafka has passed one offset of it.
        passed = await consumer.position(partition) - 1
        return [Message.unpackable(partition.topic, partition.partition, Unreadable(passed, passed, str(error)))]
    return [_message(record) for record in records.get(partition, [])]


def _message(record: ConsumerRecord) -> Message:
    if isinstance(record.value, Unreadable):
        return Message.unpackable(record.topic, record.partition, record.value)
    return Message.received(
        record.topic, record.partition, record.offset, record.key, record.value, record.headers, record.timestamp
    )

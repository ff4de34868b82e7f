"""One fetch of a partition: its records as messages, and what can't be unpacked in the place where it was."""

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import RecordTooLargeError

from chassis.events import Message, Unreadable

MAX_RECORDS = 100


async def fetch(consumer: AIOKafkaConsumer, partition: TopicPartition, wait_s: float) -> list[Message]:
    """Return the next messages of a partition, none if none comes within `wait_s`. Raises KafkaError."""
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

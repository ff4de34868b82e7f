"""What the worker of a partition and the relay are doing now: from memory, for whoever looks at the process."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis.kafka.partition import PartitionWorker
from chassis.kafka.retry import Attempt

# Of the keys that wait in one partition, so many are shown.
MAX_SHOWN = 20
MAX_KEY = 200


@dataclass(frozen=True, slots=True)
class Waiting:
    """The first message of a key that waits for another try; `error` is None where it was not tried yet."""

    key: str | None
    offset: int
    tries: int
    next_try_at: datetime
    error: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """One assigned partition. Offsets are those of the next message; None before the first.

    `position` is what is done without a gap, `committed` what Kafka knows of it, `end` what the last fetch has seen of
    the log. `outage` is the failure of the
    dependency that the whole partition waits for. `retrying` are the first of the `waiting` messages.
    """

    topic: str
    partition: int
    position: int | None
    committed: int | None
    end: int | None
    outage: str | None
    waiting: int
    retrying: list[Waiting]


@dataclass(frozen=True, slots=True)
class RelayStanding:
    """`active_since` is None in a relay that stands by for another process's, or has no database session."""

    active_since: datetime | None
    in_flight: int
    broker_away: bool
    failed_sessions: int


def of_worker(consumer: AIOKafkaConsumer, partition: TopicPartition, worker: PartitionWorker) -> Standing:
    return Standing(
        partition.topic,
        partition.partition,
        worker.offsets.position(),
        worker.committed,
        consumer.highwater(partition) if partition in consumer.assignment() else None,
        worker.chain.outage,
        worker.queues.count,
        [_waiting(attempt) for attempt in islice(worker.queues.firsts(), MAX_SHOWN)],
    )


def _waiting(attempt: Attempt) -> Waiting:
    due_at = datetime.fromtimestamp(time.time() + attempt.due - time.monotonic(), UTC)
    key = attempt.message.key
    return Waiting(
        key if key is None else key[:MAX_KEY],
        attempt.message.offset,
        attempt.tries,
        due_at,
        getattr(attempt, "error", None),
    )

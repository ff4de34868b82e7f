"""Kafka's client side: a producer that waits for its broker, topics declared on purpose, nothing made by chance."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    BrokerResponseError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    for_code,
)

if TYPE_CHECKING:
    from chassis.config import ServiceSettings

log = structlog.get_logger(__name__)

DLQ_SUFFIX = ".dlq"
START_TIMEOUT_S = 5
REQUEST_TIMEOUT_MS = 10_000
SEND_TIMEOUT_S = 12
STOP_TIMEOUT_S = 2
# Twice the broker's default: a dead letter is its message, which may have reached that default, with headers added.
MAX_REQUEST_BYTES = 2 * 1024 * 1024


def dlq(topic: str) -> str:
    """Name the dead letter topic of a topic."""
    return f"{topic}{DLQ_SUFFIX}"


class Producer:
    """Sends with acks=all and linger 0, one send bounded by 12 s; connects when first needed, and anew when it has died.

    aiokafka's idempotent mode is off on purpose: with the broker gone its send and its stop hang without end
    (measured), and the inbox absorbs the duplicates that plain acks=all can make.
    """

    def __init__(self, settings: "ServiceSettings") -> None:
        self._brokers = settings.kafka_broker
        self._client_id = settings.service
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is not None:
            return self._producer
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._brokers,
                    client_id=self._client_id,
                    acks="all",
                    linger_ms=0,
                    request_timeout_ms=REQUEST_TIMEOUT_MS,
                    retry_backoff_ms=100,
                    max_request_size=MAX_REQUEST_BYTES,
                )
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
    ) -> None:
        """Send one record and wait for its ack. Raises KafkaError, OSError or TimeoutError when there is none."""
        async with asyncio.timeout(SEND_TIMEOUT_S):
            producer = await self._started()
            try:
                acknowledged = await producer.send(topic, value=value, key=key, headers=list(headers))
                await acknowledged
            except KafkaError as error:
                if _has_died(error) and self._producer is producer:
                    log.error("the producer has died and is replaced", error=str(error))
                    await self.close()
                raise

    async def ping(self) -> None:
        """Ask the broker for its metadata. Raises when it does not answer."""
        producer = await self._started()
        await producer.client.fetch_all_metadata()

    async def close(self) -> None:
        """Stop within 2 s, whatever the broker does. A later send connects again."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await _bounded_stop(producer)


async def _bounded_stop(producer: AIOKafkaProducer) -> None:
    with suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await producer.stop()


def _has_died(error: KafkaError) -> bool:
    """Tell whether aiokafka's sender has ended, which never comes back, rather than that the broker refused or is away."""
    return not (is_broker_trouble(error) or isinstance(error, BrokerResponseError))


def is_broker_trouble(error: BaseException) -> bool:
    """Tell whether an error says that the broker is away or slow, rather than that this record is wrong."""
    if isinstance(error, KafkaError):
        return bool(getattr(error, "retriable", False)) or isinstance(error, KafkaConnectionError | KafkaTimeoutError)
    return isinstance(error, OSError | TimeoutError)


def is_topic_trouble(error: BaseException) -> bool:
    """Tell whether the broker has answered that one topic can't be written to now, for example that it does not exist."""
    answered = isinstance(error, BrokerResponseError) and not isinstance(error, RequestTimedOutError)
    return answered and is_broker_trouble(error)


async def ensure_topics(settings: "ServiceSettings", names: Iterable[str], *, deadline_s: float = 60) -> list[str]:
    """Create each topic and its dead letter topic with the configured partitions and replication; return the new ones.

    Waits up to `deadline_s` for the broker. Existing topics are left as they are, their limits included: a dead letter
    topic must take messages of 2 MiB (`max.message.bytes`), or a message of nearly 1 MiB that fails blocks its partition.
    """
    wanted = [topic for name in sorted(set(names)) for topic in (name, dlq(name))]
    async with asyncio.timeout(deadline_s):
        while True:
            try:
                return await _create(settings, wanted)
            except (KafkaError, OSError, TimeoutError) as error:
                if not is_broker_trouble(error):
                    raise
                log.warning("waiting for the broker", error=str(error))
                await asyncio.sleep(1)


async def _create(settings: "ServiceSettings", wanted: list[str]) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_broker, request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await admin.start()
        missing = [topic for topic in wanted if topic not in set(await admin.list_topics())]
        if not missing:
            return []
        answer = await admin.create_topics([_new(settings, topic) for topic in missing])
        for topic, code, *_ in answer.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(f"topic {topic}: {error.__name__}")
        return missing
    finally:
        with suppress(KafkaError, OSError):
            await admin.close()


def _new(settings: "ServiceSettings", topic: str) -> NewTopic:
    configs: dict[str, str] = {}
    if settings.kafka_replication >= 3:
        configs["min.insync.replicas"] = "2"
    if topic.endswith(DLQ_SUFFIX):
        configs["max.message.bytes"] = str(MAX_REQUEST_BYTES)
    return NewTopic(topic, settings.kafka_partitions, settings.kafka_replication, topic_configs=configs)

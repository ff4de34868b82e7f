"""Topics are created by a command, with partitions, replication and limits. A running service never creates one."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from chassis.config.settings import ServiceSettings
from chassis.errors import Refused
from chassis.kafka.connection import connection, raise_refusal
from chassis.kafka.errors import is_broker_trouble

log = structlog.get_logger(__name__)

DLQ_SUFFIX = ".dlq"
ADMIN_TIMEOUT_MS = 10_000
# Twice the broker's default: a dead letter is its message, which may have reached that default, with headers added.
MAX_REQUEST_BYTES = 2 * 1024 * 1024


def dlq(topic: str) -> str:
    return f"{topic}{DLQ_SUFFIX}"


async def ensure_topics(settings: ServiceSettings, names: Iterable[str], *, deadline_s: float = 60) -> list[str]:
    """Create each topic and its dead letter topic with the configured partitions and replication; return the new ones.

    Waits up to `deadline_s` for the broker. Existing topics are left as they are, their limits included: a dead letter
    topic must take messages of 2 MiB (`max.message.bytes`), or a failed message of nearly 1 MiB blocks its partition.
    Raises Refused.
    """
    topics = [topic for name in sorted(set(names)) for topic in (name, dlq(name))]
    try:
        async with asyncio.timeout(deadline_s):
            return await _create_when_up(settings, topics)
    except TimeoutError:
        raise Refused(f"Kafka at {settings.kafka_broker} has not answered for {deadline_s:g} s") from None


async def _create_when_up(settings: ServiceSettings, topics: list[str]) -> list[str]:
    while True:
        try:
            return await _create(settings, topics)
        except (KafkaError, OSError, TimeoutError) as error:
            if not is_broker_trouble(error):
                raise Refused(f"Kafka at {settings.kafka_broker}: {error}") from error
            await raise_refusal(settings)
            log.warning("waiting for the broker", error=str(error))
            await asyncio.sleep(1)


async def _create(settings: ServiceSettings, topics: list[str]) -> list[str]:
    admin = AIOKafkaAdminClient(**connection(settings), request_timeout_ms=ADMIN_TIMEOUT_MS)
    try:
        await admin.start()
        missing = [topic for topic in topics if topic not in set(await admin.list_topics())]
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


def _new(settings: ServiceSettings, topic: str) -> NewTopic:
    configs: dict[str, str] = {}
    if settings.kafka_replication >= 3:
        configs["min.insync.replicas"] = "2"
    if topic.endswith(DLQ_SUFFIX):
        configs["max.message.bytes"] = str(MAX_REQUEST_BYTES)
    return NewTopic(topic, settings.kafka_partitions, settings.kafka_replication, topic_configs=configs)

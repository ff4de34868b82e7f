"""Topics are created by a command, with partitions, copies and limits. A running service never creates one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from chassis.config.connections import KafkaSettings
from chassis.errors import Refused
from chassis.kafka.connection import connection, raise_refusal
from chassis.kafka.errors import is_broker_trouble
from chassis.kafka.topic_settings import Difference, differences, dlq, plan, with_dead_letters

__all__ = ["MAX_REQUEST_BYTES", "dlq", "ensure_topics", "opened_admin", "topic_differences"]

log = structlog.get_logger(__name__)

ADMIN_TIMEOUT_MS = 10_000
# Twice the broker's default: a dead letter is its message, which may have reached that default, with headers added.
MAX_REQUEST_BYTES = 2 * 1024 * 1024

T = TypeVar("T")


async def ensure_topics(settings: KafkaSettings, names: Iterable[str], *, deadline_s: float = 60) -> list[str]:
    """Create each topic and its dead letter topic as `topics.toml` says; return the new ones.

    Waits up to `deadline_s` for the broker. Existing topics are left as they are, their limits included: a dead letter
    topic must take messages of 2 MiB (`max.message.bytes`), or a failed message of nearly 1 MiB blocks its partition.
    Raises Refused.
    """
    topics = with_dead_letters(names)
    return await _when_up(settings, lambda admin: _create(admin, settings, topics), deadline_s)


async def topic_differences(
    settings: KafkaSettings, names: Iterable[str], *, deadline_s: float = 60
) -> list[Difference]:
    """Say how each topic and its dead letter topic differ from `topics.toml` and the settings. Raises Refused."""
    topics = with_dead_letters(names)
    return await _when_up(settings, lambda admin: differences(admin, settings, topics), deadline_s)


async def _when_up(
    settings: KafkaSettings, work: Callable[[AIOKafkaAdminClient], Awaitable[T]], deadline_s: float
) -> T:
    try:
        async with asyncio.timeout(deadline_s):
            while True:
                try:
                    async with opened_admin(settings) as admin:
                        return await work(admin)
                except (KafkaError, OSError, TimeoutError) as error:
                    if not is_broker_trouble(error):
                        raise Refused(f"Kafka at {settings.kafka_broker}: {error}") from error
                    await raise_refusal(settings)
                    log.warning("waiting for the broker", error=str(error))
                    await asyncio.sleep(1)
    except TimeoutError:
        raise Refused(f"Kafka at {settings.kafka_broker} has not answered for {deadline_s:g} s") from None


@asynccontextmanager
async def opened_admin(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect for the block. Raises KafkaError, OSError or TimeoutError without a broker."""
    admin = AIOKafkaAdminClient(**connection(settings), request_timeout_ms=ADMIN_TIMEOUT_MS)
    try:
        await admin.start()
        yield admin
    finally:
        with suppress(KafkaError, OSError):
            await admin.close()


async def _create(admin: AIOKafkaAdminClient, settings: KafkaSettings, topics: list[str]) -> list[str]:
    missing = [topic for topic in topics if topic not in set(await admin.list_topics())]
    if not missing:
        return []
    answer = await admin.create_topics([_new(settings, topic) for topic in missing])
    for topic, code, *_ in answer.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(f"topic {topic}: {error.__name__}")
    return missing


def _new(settings: KafkaSettings, topic: str) -> NewTopic:
    wanted = plan(settings, topic)
    return NewTopic(topic, wanted.partitions, wanted.replication, topic_configs=dict(wanted.configs))

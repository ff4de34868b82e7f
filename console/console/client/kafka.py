"""Kafka, read without a group: nothing is committed, and no consumer of the platform is disturbed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from chassis.kafka.batches import make_consumer
from console.client.admin_api import NoAnswer

TIMEOUT_S = 2.0
# The broker answers the requests of a connection in turn: a fetch that waits for records holds up the questions.
FETCH_WAIT_MS = 20


class KafkaReader:
    """One connection, opened when it is first needed. Its users take turns: they share its positions."""

    def __init__(self, **connection: Any) -> None:
        self._connection = connection
        self._opened: tuple[AIOKafkaConsumer, AIOKafkaAdminClient] | None = None
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[tuple[AIOKafkaConsumer, AIOKafkaAdminClient]]:
        """Lend the connection for a block of at most TIMEOUT_S. Raises NoAnswer, also for what fails in the block."""
        try:
            async with asyncio.timeout(TIMEOUT_S), self._turn:
                consumer, admin = await self._open()
                try:
                    yield consumer, admin
                finally:
                    # Else it would go on fetching, and the next question would wait for that. To unsubscribe could end
                    # the consumer's fetching for ever: a fetch that begins then finds no subscription, and fails.
                    if consumer.assignment():
                        consumer.assign([])
        except TimeoutError:
            raise NoAnswer(f"no answer in {TIMEOUT_S:g} s") from None
        except (KafkaError, OSError) as error:
            await self.close()
            raise NoAnswer(type(error).__name__) from None

    async def _open(self) -> tuple[AIOKafkaConsumer, AIOKafkaAdminClient]:
        if self._opened is None:
            consumer = make_consumer(
                AIOKafkaConsumer,
                **self._connection,
                enable_auto_commit=False,
                # From a place that is no longer kept it reads on where the topic begins, not where it ends.
                auto_offset_reset="earliest",
                fetch_max_wait_ms=FETCH_WAIT_MS,
            )
            admin = AIOKafkaAdminClient(**self._connection, request_timeout_ms=int(TIMEOUT_S * 1000))
            try:
                await consumer.start()
                await admin.start()
            except BaseException:
                await _close(consumer.stop, admin.close)
                raise
            self._opened = consumer, admin
        return self._opened

    async def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await _close(opened[0].stop, opened[1].close)


def learn(consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> None:
    """Learn the leaders of all topics at once; the questions would do it topic by topic, 0.1 s each.

    The partitions are paused, because the questions would wait for a fetch.
    """
    if any(consumer.partitions_for_topic(place.topic) is None for place in places):
        consumer.assign(list(places))
        consumer.pause(*places)


async def _close(*closes: Any) -> None:
    for close in closes:
        with suppress(KafkaError, OSError, TimeoutError):
            await close()

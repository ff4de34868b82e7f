"""Kafka, followed from its end while the page of an order is open: each record about an order is news of it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from chassis.kafka.batches import make_consumer
from chassis.kafka.topic_settings import dlq
from chassis.loops import wait_any
from console.model.saga import PRODUCERS

log = structlog.get_logger(__name__)

POLL_MS = 1_000
# The wait without an open page; `watched` ends it.
IDLE_S = 3_600.0
AGAIN_S = 5.0
REQUEST_MS = 5_000
MAX_KEY = 26


class Tail:
    """A part of the process. It connects when `watched` is set, and leaves when it is cleared."""

    name = "tail"

    def __init__(self, watched: asyncio.Event, news: Callable[[str], None], **connection: Any) -> None:
        self._watched = watched
        self._news = news
        self._connection = connection

    async def run(self, stop: asyncio.Event) -> None:
        """Call `news` with the key of each record that is written from now on, until `stop` is set."""
        while not stop.is_set():
            await wait_any(IDLE_S, stop, self._watched)
            if stop.is_set():
                return
            try:
                await self._follow(stop)
            except (KafkaError, OSError, TimeoutError) as error:
                # Pages are asked for every 2 s all the same.
                log.info("news of events are missing", error=f"{type(error).__name__}: {error}")
                await wait_any(AGAIN_S, stop)

    async def _follow(self, stop: asyncio.Event) -> None:
        consumer = make_consumer(AIOKafkaConsumer, **self._connection, enable_auto_commit=False)
        try:
            await consumer.start()
            places = await self._places()
            if not places:
                await wait_any(AGAIN_S, stop)
                return
            consumer.assign(places)
            await consumer.seek_to_end(*places)
            while self._watched.is_set() and not stop.is_set():
                for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                    for key in {record.key for record in records if record.key and len(record.key) <= MAX_KEY}:
                        self._news(key.decode("utf-8", "replace"))
        finally:
            with suppress(KafkaError, OSError, TimeoutError):
                await consumer.stop()

    async def _places(self) -> list[TopicPartition]:
        admin = AIOKafkaAdminClient(**self._connection, request_timeout_ms=REQUEST_MS)
        try:
            await admin.start()
            described = await admin.describe_topics([name for topic in PRODUCERS for name in (topic, dlq(topic))])
        finally:
            with suppress(KafkaError, OSError, TimeoutError):
                await admin.close()
        return [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in described
            if not topic["error_code"]
            for partition in topic["partitions"]
        ]

"""A consumer that lets the broker hold its fetches for longer while there is nothing to fetch."""

import time
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis.kafka.answer_times import FETCH_S, BoundedAnswers, bound_connections

# How long the broker may hold a fetch that finds nothing; it answers at once when a message comes. A partition that was
# left out of a fetch, because its messages were not taken yet, waits for the end of that fetch. So a consumer that has
# messages keeps aiokafka's own time.
BUSY_MS, REST_MS = 500, 2_000
REST_AFTER_S = 5.0


class RestingConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka ships no types
    """Rests when `getmany` has returned no message of any partition for REST_AFTER_S, and none waits to be returned."""

    def __init__(self, **options: Any) -> None:
        super().__init__(fetch_max_wait_ms=BUSY_MS, **options)
        self._last_message = time.monotonic()
        bound_connections(self._client, FETCH_S)
        self._client.send = BoundedAnswers(self._client)

    async def getmany(self, *partitions: TopicPartition, **options: Any) -> dict[TopicPartition, list[Any]]:
        found: dict[TopicPartition, list[Any]] = await super().getmany(*partitions, **options)
        now = time.monotonic()
        if found:
            self._last_message = now
        # aiokafka reads the time for each fetch, and offers no other place to change it.
        fetcher = self._fetcher
        rests = now - self._last_message >= REST_AFTER_S and not fetcher._records
        fetcher._fetch_max_wait_ms = REST_MS if rests else BUSY_MS
        return found

"""A consumer at rest asks the broker less often, on a real broker, and as often as before when messages come."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.protocol.fetch import FetchRequest

from chassis.kafka import resting
from chassis.kafka.batches import make_consumer
from chassis.kafka.resting import RestingConsumer
from testkit import eventually

from .conftest import Topic


@pytest.fixture
async def consumer(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer of the topic, which rests soon."""
    monkeypatch.setattr(resting, "REST_AFTER_S", 0.5)
    async with make_consumer(RestingConsumer, bootstrap_servers=topic.broker, auto_offset_reset="earliest") as started:
        started.assign([TopicPartition(topic.name, 0)])
        yield started


@pytest.fixture
def waits(consumer: AIOKafkaConsumer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect how long the broker may hold each fetch, in milliseconds."""
    asked: list[int] = []
    send = consumer._client.send

    async def seen(node: int, request: Any, **options: Any) -> Any:
        if isinstance(request, FetchRequest):
            asked.append(request._max_wait_ms)
        return await send(node, request, **options)

    monkeypatch.setattr(consumer._client, "send", seen)
    return asked


async def test_fetches_are_held_for_longer_until_a_message_comes(
    topic: Topic, consumer: AIOKafkaConsumer, waits: list[int]
) -> None:
    async def rests() -> bool:
        assert await consumer.getmany(timeout_ms=100) == {}
        return waits[-1:] == [resting.REST_MS]

    await eventually(rests, 20)
    assert waits[0] == resting.BUSY_MS
    for _ in range(3):
        await topic.send(b"1")
        [[record]] = (await consumer.getmany(timeout_ms=10_000)).values()
        assert record.value == b"1"
        before = len(waits)
        await eventually(lambda: len(waits) > before)  # noqa: B023  # awaited in this round
        assert waits[before] == resting.BUSY_MS
    await eventually(rests, 20)


async def test_a_consumer_whose_messages_are_not_taken_does_not_rest(topic: Topic, consumer: AIOKafkaConsumer) -> None:
    place, other = TopicPartition(topic.name, 0), TopicPartition(topic.name, 1)
    await topic.send(b"1")
    await eventually(lambda: consumer.highwater(place) == 1, 20)
    assert await consumer.getmany(other, timeout_ms=700) == {}
    assert consumer._fetcher._fetch_max_wait_ms == resting.BUSY_MS
    assert [record.value for record in (await consumer.getmany(place))[place]] == [b"1"]
    assert await consumer.getmany(other, timeout_ms=700) == {}
    assert consumer._fetcher._fetch_max_wait_ms == resting.REST_MS

"""The producer on a real broker: one that has died is replaced, one that was only refused is kept."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from prometheus_client import REGISTRY

from chassis.config.settings import ServiceSettings
from chassis.kafka import producer as module
from chassis.kafka.errors import is_broker_trouble
from chassis.kafka.producer import Producer, Record
from chassis.kafka.topics import MAX_REQUEST_BYTES
from testkit import eventually
from testkit.proxy import Proxy

from .conftest import Topic


@pytest.fixture
async def producer(kafka_settings: ServiceSettings) -> AsyncIterator[Producer]:
    """Give a producer."""
    made = Producer(kafka_settings)
    yield made
    await made.close()


async def test_a_producer_whose_sender_has_died_is_replaced(topic: Topic, producer: Producer) -> None:
    await producer.send(topic.name, b"1", b"k", [])
    died: Any = producer._producer
    accumulator = died._message_accumulator
    drain = accumulator.drain_by_nodes

    def defect(*_args: Any, **_options: Any) -> None:
        accumulator.drain_by_nodes = drain
        raise AttributeError("a defect, once")

    accumulator.drain_by_nodes = defect
    with pytest.raises(KafkaError, match="Unexpected error during batch delivery"):
        await producer.send(topic.name, b"2", b"k", [])
    await producer.send(topic.name, b"3", b"k", [])


def sent(topic: Topic, error_type: str = "") -> float:
    labels = {"messaging_destination_name": topic.name, "error_type": error_type}
    return REGISTRY.get_sample_value("messaging_client_sent_messages_total", labels) or 0


async def test_records_are_counted_when_kafka_has_them_and_when_it_refuses_them(
    topic: Topic, producer: Producer
) -> None:
    await producer.send(topic.name, b"1", b"k", [])
    await producer.send_batch(topic.name, 0, [Record.of(b"k", b"2", []), Record.of(b"k", b"3", [])])
    with pytest.raises(MessageSizeTooLargeError):
        await producer.send(topic.name, bytes(1_100_000), b"k", [])
    assert (sent(topic), sent(topic, "MessageSizeTooLargeError")) == (3, 1)


async def test_a_record_that_is_refused_does_not_replace_the_producer(topic: Topic, producer: Producer) -> None:
    await producer.send(topic.name, b"1", b"k", [])
    before = producer._producer
    for size in (1_100_000, MAX_REQUEST_BYTES + 1):
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send(topic.name, bytes(size), b"k", [])
    await producer.send(topic.name, b"2", b"k", [])
    assert producer._producer is before


async def test_a_producer_sends_again_when_its_broker_is_back(
    topic: Topic, kafka_settings: ServiceSettings, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEND_TIMEOUT_S", 1)
    monkeypatch.setattr(module, "REQUEST_TIMEOUT_MS", 800)
    producer = Producer(kafka_settings.model_copy(update={"kafka_broker": proxy.address}))
    await producer.send(topic.name, b"1", b"k", [])
    for leave in (proxy.refuse, proxy.blackhole):
        await leave()
        with pytest.raises((KafkaError, TimeoutError)) as failed:
            await producer.send(topic.name, b"2", b"k", [])
        assert is_broker_trouble(failed.value)
        await proxy.restore()

        async def sent() -> bool:
            try:
                await producer.send(topic.name, b"3", b"k", [])
            except (KafkaError, TimeoutError):
                return False
            return True

        await eventually(sent, 15)
    await producer.close()


async def test_the_error_of_a_batch_whose_caller_has_gone_is_not_lost(
    topic: Topic,
    kafka_settings: ServiceSettings,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # A captured warning would keep the batch, and so its lost error.
    caplog.set_level(logging.ERROR, "aiokafka")
    monkeypatch.setattr(module, "REQUEST_TIMEOUT_MS", 800)
    producer = Producer(kafka_settings.model_copy(update={"kafka_broker": proxy.address}))
    await producer.send(topic.name, b"1", b"k", [])
    await proxy.blackhole()
    monkeypatch.setattr(module, "SEND_TIMEOUT_S", 0.3)
    gc.collect()
    lost: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: lost.append(context))
    with pytest.raises(TimeoutError):
        await producer.send_batch(topic.name, 0, [Record.of(b"k", b"2", [])])
    inner: Any = producer._producer
    accumulator = inner._message_accumulator
    [batch] = accumulator._pending_batches or [batch for [batch] in accumulator._batches.values()]
    await eventually(batch.future.done, 15)
    del batch
    await producer.close()
    gc.collect()
    loop.set_exception_handler(None)
    assert lost == []


async def test_dead_letter_topics_take_a_message_with_the_headers_that_are_added(
    topic: Topic, kafka_settings: ServiceSettings
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_settings.kafka_broker)
    await admin.start()
    try:
        limits = []
        for name in (topic.name, f"{topic.name}.dlq"):
            [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
            configs = {entry[0]: entry[1] for entry in answer.resources[0][4]}
            limits.append(int(configs["max.message.bytes"]))
    finally:
        await admin.close()
    assert limits == [1_048_588, MAX_REQUEST_BYTES]

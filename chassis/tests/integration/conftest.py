"""Fixtures of these tests: topics with settings of their own, consumers, what a topic holds, a server, a Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from chassis.config.settings import ServiceSettings, load
from chassis.db.database import Database
from chassis.db.schema import metadata_factory, outbox_table
from chassis.events import Message
from chassis.kafka.consumer import ConsumerRunner
from chassis.kafka.producer import Producer
from chassis.kafka.topics import ensure_topics
from chassis.loops import Task
from testkit.databases import create_tables
from testkit.proxy import Proxy

from . import bounds_server, web_app
from .redis_server import RedisServer
from .relay_bench import Bench, fresh_bench


class Topic:
    """One topic of one partition with its dead letter topic, on a real broker."""

    def __init__(self, broker: str, settings: ServiceSettings, name: str, producer: AIOKafkaProducer) -> None:
        self.broker, self.settings, self.name = broker, settings, name
        self._producer = producer

    async def send(self, value: bytes | None, key: bytes | None = b"order-1", **headers: bytes) -> None:
        """Write a message as a foreign producer does; aiokafka has another way for one with neither key nor value."""
        if key is None and value is None:
            batch = self._producer.create_batch()
            batch.append(key=None, value=None, timestamp=None)
            await (await self._producer.send_batch(batch, self.name, partition=0))
        else:
            await self._producer.send_and_wait(self.name, value, key=key, headers=list(headers.items()))

    async def transact(self, *values: bytes, commit: bool = True) -> None:
        """Write messages as a producer with transactions does."""
        producer = AIOKafkaProducer(bootstrap_servers=self.broker, transactional_id=f"x-{uuid4().hex}")
        await producer.start()
        try:
            await producer.begin_transaction()
            for value in values:
                await producer.send_and_wait(self.name, value, key=b"order-1")
            await (producer.commit_transaction() if commit else producer.abort_transaction())
        finally:
            await producer.stop()

    async def dead_letters(self) -> list[ConsumerRecord]:
        """Read what is on the dead letter topic now."""
        place = TopicPartition(f"{self.name}.dlq", 0)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.broker, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign([place])
            end = (await consumer.end_offsets([place]))[place]
            found: list[ConsumerRecord] = []
            while len(found) < end:
                found += (await consumer.getmany(place, timeout_ms=1000)).get(place, [])
            return found
        finally:
            await consumer.stop()

    async def committed(self, group: str) -> int | None:
        """Return the offset that a group has committed."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.broker, group_id=group, enable_auto_commit=False)
        await consumer.start()
        try:
            place = TopicPartition(self.name, 0)
            found: OffsetAndMetadata | int | None = await consumer.committed(place)
            return int(found) if found is not None else None
        finally:
            await consumer.stop()

    async def members(self, group: str) -> int:
        """Count the members that the broker sees in a group."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker)
        await admin.start()
        try:
            [answer] = await admin.describe_consumer_groups([group])
            return len(answer.groups[0][5])
        finally:
            await admin.close()


class Member:
    """A consumer runner in a task of its own; `handled` lists the values that its handler has seen to the end."""

    def __init__(self, settings: ServiceSettings, topic: Topic, group: str) -> None:
        self.handled: list[bytes | None] = []
        self.handle: Callable[[Message], Awaitable[None]] | None = None
        self.producer = Producer(settings)
        self.runner = ConsumerRunner(settings, group, {topic.name: self._handle}, self.producer)
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.runner.run(self.stop))

    async def _handle(self, message: Message) -> None:
        if self.handle is not None:
            await self.handle(message)
        self.handled.append(message.value)

    @property
    def coordinator(self) -> Any:
        """aiokafka's coordinator of this member: where tests make a fault that no broker can be asked for."""
        assert self.runner._consumer is not None
        return self.runner._consumer._coordinator

    def fetched_ms(self, topic: str) -> int:
        """When the broker last answered a fetch of the topic's only partition, 0 before that."""
        assert self.runner._consumer is not None
        return self.runner._consumer.last_poll_timestamp(TopicPartition(topic, 0)) or 0

    @property
    def partitions(self) -> int:
        """How many partitions this member works on."""
        return len(self.runner._workers)

    async def end(self) -> None:
        """Stop, whatever came of it."""
        self.stop.set()
        with suppress(Exception):
            await asyncio.wait_for(self.task, 20)
        await self.producer.close()


@pytest.fixture
def kafka_settings(kafka_broker: str) -> ServiceSettings:
    """Return settings for topics of one partition, and members whose session ends after 6 s."""
    return load(ServiceSettings, kafka_broker=kafka_broker, kafka_partitions=1, kafka_session_timeout_ms=6000)


@pytest.fixture
async def topic(kafka_settings: ServiceSettings) -> AsyncIterator[Topic]:
    """Return a topic of the test's own."""
    name = f"t-{uuid4().hex[:10]}"
    await ensure_topics(kafka_settings, [name])
    producer = AIOKafkaProducer(bootstrap_servers=kafka_settings.kafka_broker, max_request_size=4 * 1024 * 1024)
    await producer.start()
    for made in (name, f"{name}.dlq"):
        await producer.partitions_for(made)
    yield Topic(kafka_settings.kafka_broker, kafka_settings, name, producer)
    await producer.stop()


@pytest.fixture
async def proxy(kafka_broker: str) -> AsyncIterator[Proxy]:
    """Return a proxy in front of the broker; members that still use it leave before it closes."""
    host, _, port = kafka_broker.rpartition(":")
    async with Proxy(host, int(port), kafka=True) as opened:
        yield opened


Join = Callable[..., Member]


@pytest.fixture
async def join(topic: Topic, proxy: Proxy) -> AsyncIterator[Join]:
    """Return a function that starts a member of the test's group, through another broker address if one is given."""
    members: list[Member] = []

    def start(broker: str | None = None, **changed: Any) -> Member:
        settings = topic.settings.model_copy(update={"kafka_broker": broker or topic.broker, **changed})
        members.append(Member(settings, topic, f"g-{topic.name}"))
        return members[-1]

    yield start
    await proxy.restore()
    await asyncio.gather(*(member.end() for member in members))


@pytest.fixture
async def database(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> AsyncIterator[Database]:
    """Return an empty database."""
    opened = Database(load(ServiceSettings, **await make_database("chassis")))
    yield opened
    await opened.close()


@pytest.fixture
async def db(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> AsyncIterator[Database]:
    """Return a database that has nothing but an outbox."""
    settings = ServiceSettings(**await make_database("chassis"))
    metadata = metadata_factory()
    outbox_table(metadata)
    await create_tables(settings, metadata)
    opened = Database(settings)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
async def web() -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the application of web_app.py."""
    async with web_app.serving() as client:
        yield client


@pytest.fixture
async def http(web: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """The same client; no request was handled yet, and all readiness checks pass."""
    web_app.handled.clear()
    web_app.SWITCH.database = web_app.SWITCH.kafka = web_app.SWITCH.migrations = None
    return web


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[bounds_server.Running]:
    """A server in a process of its own."""
    async with bounds_server.run() as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """Run a Redis of this test's own."""
    result = RedisServer(tmp_path)
    result.start()
    yield result
    result.stop()


@pytest.fixture
async def bench(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> AsyncIterator[Bench]:
    """Give a bench on a database of its own."""
    async with fresh_bench(make_database) as opened:
        yield opened


@pytest.fixture
async def run() -> AsyncIterator[Callable[[Task], None]]:
    """Give a function that starts a task and stops it after the test."""
    stop, running = asyncio.Event(), []
    yield lambda task: running.append(asyncio.ensure_future(task.run(stop)))
    stop.set()
    await asyncio.gather(*running)

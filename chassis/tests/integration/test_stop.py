"""SIGTERM's way through a service with a consumer and a relay: all parts end in time, whatever the broker does."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chassis.config.settings import ServiceSettings, load
from chassis.db.database import Database
from chassis.db.schema import metadata_factory, outbox_table
from chassis.events import Event, Message
from chassis.http.app import create_app
from chassis.http.probes import Readiness
from chassis.kafka.consumer import ConsumerRunner
from chassis.kafka.producer import Producer
from chassis.kafka.relay import Relay
from chassis.resources import close_all
from chassis.service import Process, _supervise
from testkit import eventually, free_port
from testkit.databases import create_tables
from testkit.proxy import Proxy

from .conftest import Topic


class Running:
    """A service of one consumer and one relay, whose broker is reached through a proxy."""

    def __init__(self, settings: ServiceSettings, topic: Topic, db: Database) -> None:
        self.settings, self.topic, self.db = settings, topic, db
        self.handled: list[bytes | None] = []
        self.hangs = False
        producer = Producer(settings)
        self.consumer = ConsumerRunner(settings, f"g-{topic.name}", {topic.name: self._handle}, producer)
        self.parts = Process(create_app(settings, routers=[], ready=Readiness(), title="t", description="d"))
        self.parts.tasks = [self.consumer]
        self.parts.last = [Relay(settings, db, producer)]
        self.parts.close = [db.close, producer.close]
        self.asked = asyncio.Event()
        self.supervised = asyncio.create_task(_supervise(settings, self.parts, self.asked))

    async def _handle(self, message: Message) -> None:
        self.handled.append(message.value)
        if self.hangs:
            await asyncio.Event().wait()

    async def publish(self, *keys: str) -> None:
        async with self.db.transaction() as tx:
            await tx.publish(*(Event.of(self.topic.name, key, "{}") for key in keys))

    async def pending(self) -> int:
        async with self.db.driver() as connection:
            return int(await connection.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL"))

    async def stop(self) -> bool:
        """Ask the service to stop. Returns True if each part ended by itself in its time."""
        self.asked.set()
        in_time = await asyncio.wait_for(self.supervised, self.settings.shutdown_timeout_s)
        await close_all(self.parts.close)
        return in_time


@pytest.fixture
async def service(topic: Topic, proxy: Proxy, database: Database) -> AsyncIterator[Any]:
    """Return a function that starts the service; settings can be changed."""
    metadata = metadata_factory()
    outbox_table(metadata)
    await create_tables(database.settings, metadata)

    def start(**changed: Any) -> Running:
        given = database.settings.model_dump() | {
            "kafka_broker": proxy.address,
            "kafka_session_timeout_ms": 60_000,
            "http_host": "127.0.0.1",
            "http_port": free_port(),
            **changed,
        }
        settings = load(ServiceSettings, **given)
        return Running(settings, topic, Database(settings))

    yield start
    await proxy.restore()


async def test_with_everything_well_what_is_committed_is_sent_and_the_group_is_left(service: Any, topic: Topic) -> None:
    running: Running = service()
    await topic.send(b"1")
    await eventually(lambda: running.handled == [b"1"], 30)
    await running.publish("a", "b")
    pending = Database(running.settings)
    assert await running.stop() is True
    async with pending.driver() as connection:
        assert await connection.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL") == 0
    await pending.close()
    assert await topic.members(f"g-{topic.name}") == 0


@pytest.mark.parametrize("mode", ["refuse", "blackhole"])
async def test_a_broker_that_never_answered_since_the_start_does_not_hold_the_stop_up(
    service: Any, proxy: Proxy, mode: str
) -> None:
    await getattr(proxy, mode)()
    running: Running = service()
    await running.publish("a")
    await eventually(lambda: mode == "refuse" or proxy.connections > 0, 20)
    assert await running.stop() is True


async def test_a_broker_that_freezes_does_not_hold_the_stop_up(service: Any, proxy: Proxy, topic: Topic) -> None:
    running: Running = service(shutdown_timeout_s=14)
    await topic.send(b"1")
    await eventually(lambda: running.handled == [b"1"], 30)
    await running.publish("a")

    async def all_sent() -> bool:
        return await running.pending() == 0

    await eventually(all_sent, 20)
    await proxy.blackhole()
    for key in "bcdefgh":
        await running.publish(key)
    assert await running.stop() is True


async def test_a_handler_that_does_not_end_is_cancelled_and_its_member_leaves_the_group(
    service: Any, topic: Topic
) -> None:
    running: Running = service(shutdown_timeout_s=4)
    running.hangs = True
    await topic.send(b"1")
    await eventually(lambda: running.handled == [b"1"], 30)
    assert await topic.members(f"g-{topic.name}") == 1
    assert await running.stop() is True
    assert await topic.members(f"g-{topic.name}") == 0


async def test_a_handler_that_uses_its_whole_drain_leaves_the_relay_time_to_send_what_is_committed(
    service: Any, topic: Topic
) -> None:
    running: Running = service(shutdown_timeout_s=8)
    started = asyncio.Event()

    async def commit_when_cancelled(_message: Message) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            # As late as a handler can commit. Without the hint that wakes the relay, as another process commits.
            await running.publish("late")
            running.db.relay_wake.clear()

    running.consumer._handlers[topic.name] = commit_when_cancelled
    await topic.send(b"1")
    await asyncio.wait_for(started.wait(), 30)
    pending = Database(running.settings)
    assert await running.stop() is True
    async with pending.driver() as connection:
        rows = await connection.fetch("SELECT published_at IS NOT NULL AS published FROM outbox")
    await pending.close()
    assert [row["published"] for row in rows] == [True]

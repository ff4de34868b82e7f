"""The relay beside sends that hang: they delay their own keys only, keep the order, and do not hold a stop up."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiokafka.errors import UnknownTopicOrPartitionError

from chassis.config.settings import ServiceSettings
from chassis.db.database import Database
from chassis.db.schema import metadata_factory, outbox_table
from chassis.events import Event
from chassis.kafka import in_flight
from chassis.kafka import relay as relay_module
from chassis.kafka.producer import Place, Producer, Record
from chassis.kafka.relay import Relay
from chassis.kafka.stop_times import LAST_SENDS_SHARE
from testkit import eventually
from testkit.databases import create_tables

from .conftest import Topic


class HangingProducer(Producer):
    """Acknowledges at once, but keys in `hanging` when they are let go. With `batches` each key has a partition."""

    def __init__(self) -> None:
        self.hanging: dict[str, asyncio.Event] = {}
        self.sent: list[str] = []
        self.error: Exception | None = None
        self.batches = False

    def partition_of(self, topic: str, key: str) -> int | None:
        return ord(key[0]) if self.batches else None

    async def send_batch(self, topic: str, partition: int, records: Sequence[Record]) -> Place:
        for record in records:
            await self.send(topic, record.value, record.key, record.headers)
        return Place(partition, 0)

    async def send(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Iterable[tuple[str, bytes]]
    ) -> Place:
        name = (value or b"").decode().strip('"')
        if gate := self.hanging.get((key or b"").decode()):
            await gate.wait()
            if self.error:
                raise self.error
        self.sent.append(name)
        return Place(0, 0)


class Bench:
    """An outbox, and relays on a session of their own."""

    def __init__(self, db: Database, session: asyncpg.Connection) -> None:
        self.db, self.session = db, session
        self.producer = HangingProducer()

    def relay(self, producer: Producer | None = None, **changed: Any) -> Relay:
        return Relay(self.db.settings.model_copy(update=changed), self.db, producer or self.producer)

    async def publish(self, *names: str, topic: str = "topic") -> None:
        """Commit events named by their key and a number: `a1` has the key `a`."""
        async with self.db.transaction() as tx:
            await tx.publish(*(Event.of(topic, name[0], f'"{name}"') for name in names))

    async def published(self) -> list[str]:
        sql = "SELECT payload #>> '{}' AS name FROM outbox WHERE published_at IS NOT NULL ORDER BY id"
        return [row["name"] for row in await self.session.fetch(sql)]

    async def attempts(self, name: str) -> int:
        return int(await self.session.fetchval("SELECT attempts FROM outbox WHERE payload #>> '{}' = $1", name))


@pytest.fixture(params=[False, True], ids=["one by one", "in batches"])
async def bench(database: Database, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """Give a bench with an empty outbox, before and after the partitions of its topics are known."""
    metadata = metadata_factory()
    outbox_table(metadata)
    await create_tables(database.settings, metadata)
    session = await database.dedicated()
    opened = Bench(database, session)
    opened.producer.batches = request.param
    yield opened
    await session.close()


async def test_a_hanging_send_delays_its_key_only_and_keeps_that_keys_order(bench: Bench) -> None:
    relay, let_go = bench.relay(), asyncio.Event()
    bench.producer.hanging["a"] = let_go
    await bench.publish("a1", "a2", "b1", "b2")
    await relay.drain_once(bench.session)
    assert await bench.published() == ["b1", "b2"]
    await bench.publish("a3", "b3")
    for _ in range(3):
        await relay.drain_once(bench.session)
    assert await bench.published() == ["b1", "b2", "b3"]
    let_go.set()
    await eventually(lambda: "a1" in bench.producer.sent)
    while await relay.drain_once(bench.session):
        pass
    await relay.drain_once(bench.session)
    assert [name for name in bench.producer.sent if name.startswith("a")] == ["a1", "a2", "a3"]
    assert await bench.published() == ["a1", "a2", "b1", "b2", "a3", "b3"]


async def test_a_send_that_hangs_and_fails_is_counted_once_and_backs_off(bench: Bench) -> None:
    relay, let_go = bench.relay(), asyncio.Event()
    bench.producer.hanging["a"], bench.producer.error = let_go, TimeoutError("no ack")
    await bench.publish("a1", "a2")
    for _ in range(3):
        await relay.drain_once(bench.session)
    assert await bench.attempts("a1") == 0
    let_go.set()
    await asyncio.sleep(0)
    for _ in range(3):
        await relay.drain_once(bench.session)
    assert (await bench.attempts("a1"), await bench.attempts("a2")) == (1, 0)
    assert bench.producer.sent == []


async def test_a_topic_whose_sends_all_hang_leaves_room_for_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_flight, "MAX_PER_TOPIC", 3)
    monkeypatch.setattr(relay_module, "BATCH", 4)
    relay = bench.relay()
    bench.producer.hanging = {key: asyncio.Event() for key in "abcdefgh"}
    await bench.publish(*(f"{key}1" for key in "abcdefgh"), topic="hangs")
    await bench.publish("x1", "y1", topic="well")
    for _ in range(4):
        await relay.drain_once(bench.session)
    assert await bench.published() == ["x1", "y1"]
    assert len(relay._in_flight.keys()) == 4, "one batch, though its topic may have 3: it was below that before"


async def test_a_key_whose_first_event_hangs_leaves_room_for_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "BATCH", 4)
    relay = bench.relay()
    bench.producer.hanging["a"] = asyncio.Event()
    await bench.publish(*(f"a{number}" for number in range(8)), "b1")
    for _ in range(2):
        await relay.drain_once(bench.session)
    assert await bench.published() == ["b1"]


async def test_events_of_a_missing_topic_delay_no_other_topic(
    bench: Bench, topic: Topic, kafka_settings: ServiceSettings
) -> None:
    producer, stop = Producer(kafka_settings), asyncio.Event()
    running = asyncio.create_task(bench.relay(producer).run(stop))
    await bench.publish("x1", topic=f"missing-{uuid4().hex[:6]}")
    await bench.publish("a1", topic=topic.name)

    async def out(*names: str) -> bool:
        return await bench.published() == list(names)

    await eventually(lambda: out("a1"), 5)
    await bench.publish("y1", topic=f"missing-{uuid4().hex[:6]}")
    await bench.publish("a2", "b1", topic=topic.name)
    await eventually(lambda: out("a1", "a2", "b1"), 5)
    assert (await bench.attempts("x1"), await bench.attempts("y1")) == (0, 0), "those sends still wait for their topic"
    stop.set()
    await asyncio.wait_for(running, 10)
    await producer.close()


async def test_only_what_the_brokers_return_concerns_is_tried_at_once(bench: Bench) -> None:
    """A topic that does not exist stays in its backoff, however often events of other topics go out."""
    relay, gate = bench.relay(), asyncio.Event()
    gate.set()
    bench.producer.hanging["a"], bench.producer.error = gate, UnknownTopicOrPartitionError()
    await bench.publish("a1", topic="missing")
    await relay.drain_once(bench.session)
    for name in ("b1", "b2", "b3"):
        await bench.publish(name)
        await relay.drain_once(bench.session)
    assert await bench.attempts("a1") == 1
    bench.producer.hanging["d"], bench.producer.error = gate, OSError("the broker is away")
    await bench.publish("d1")
    await relay.drain_once(bench.session)
    del bench.producer.hanging["d"]
    await bench.publish("b4")
    for _ in range(2):
        await relay.drain_once(bench.session)
    assert (await bench.published(), await bench.attempts("a1")) == (["b1", "b2", "b3", "d1", "b4"], 1)
    bench.producer.hanging.clear()
    await bench.publish("c1", topic="missing")
    await relay.drain_once(bench.session)
    await relay.drain_once(bench.session)
    assert bench.producer.sent[-2:] == ["c1", "a1"]


async def test_a_relay_that_is_told_to_stop_does_not_wait_for_a_send_that_hangs(bench: Bench) -> None:
    bench.producer.hanging["a"], stop = asyncio.Event(), asyncio.Event()
    relay = bench.relay(shutdown_timeout_s=3)
    running = asyncio.create_task(relay.run(stop))
    await bench.publish("a1")
    await eventually(lambda: bool(relay._in_flight))
    stop.set()
    await asyncio.wait_for(running, 10)
    assert not relay._in_flight
    bench.producer.hanging.clear()
    await bench.relay().drain_once(bench.session)
    assert await bench.published() == ["a1"], "the next start sends it"


async def test_a_relay_that_is_told_to_stop_while_the_broker_is_away_tries_nothing_more(bench: Bench) -> None:
    gate, stop = asyncio.Event(), asyncio.Event()
    gate.set()
    bench.producer.hanging, bench.producer.error = {"a": gate, "b": gate}, OSError("the broker is away")
    relay = bench.relay(shutdown_timeout_s=60)
    running = asyncio.create_task(relay.run(stop))
    await bench.publish("a1")

    async def has_failed() -> bool:
        return await bench.attempts("a1") > 0

    await eventually(has_failed)
    gate.clear()
    await bench.publish("b1")
    await eventually(lambda: bool(relay._in_flight))
    stop.set()
    async with asyncio.timeout(60 * LAST_SENDS_SHARE / 2):
        await running
    assert await bench.published() == []


async def test_a_relay_that_is_told_to_stop_sends_first_what_is_committed(bench: Bench) -> None:
    relay, stop = bench.relay(), asyncio.Event()
    running = asyncio.create_task(relay.run(stop))
    await bench.publish("a1")
    await eventually(lambda: bench.producer.sent == ["a1"])
    async with bench.db.driver() as connection:
        # As another process commits: without the hint that wakes this relay.
        await connection.execute(
            "INSERT INTO outbox (event_id, topic, key, payload) "
            "SELECT gen_random_uuid(), 'topic', 'b', to_jsonb('b' || n) FROM generate_series(1, 3) AS n"
        )
    stop.set()
    await asyncio.wait_for(running, 10)
    assert await bench.published() == ["a1", "b1", "b2", "b3"]

"""The relay's batches: on a real broker, and on a log that refuses, loses or answers nothing at any send."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError

from chassis.config.settings import ServiceSettings
from chassis.events import Event
from chassis.kafka import relay as relay_module
from chassis.kafka.producer import Place, Producer, Record
from chassis.kafka.relay import Relay
from testkit import eventually

from .relay_bench import MAX_TRIES, Bench, fresh_bench

PARTITIONS = 3
LIMIT_BYTES = 6_000


@pytest.fixture
async def bench(make_database: Callable[[str], Awaitable[dict[str, Any]]]) -> AsyncIterator[Bench]:
    """Give a bench on a database of its own."""
    async with fresh_bench(make_database) as opened:
        yield opened


class BrokerTopic:
    """A topic of three partitions that takes batches of 6,000 bytes, and a producer for it."""

    def __init__(self, settings: ServiceSettings, name: str) -> None:
        self.name = name
        self.producer = Producer(settings)
        self._broker = settings.kafka_broker

    async def read(self) -> list[ConsumerRecord]:
        """Read what is on the topic now."""
        places = [TopicPartition(self.name, partition) for partition in range(PARTITIONS)]
        consumer = AIOKafkaConsumer(bootstrap_servers=self._broker, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign(places)
            count = sum((await consumer.end_offsets(places)).values())
            found: list[ConsumerRecord] = []
            while len(found) < count:
                for records in (await consumer.getmany(*places, timeout_ms=1_000)).values():
                    found += records
            return found
        finally:
            await consumer.stop()

    async def by_key(self) -> dict[str, list[str]]:
        """Read the values of each key in the order of the log, without their quotation marks."""
        found: dict[str, list[str]] = {}
        for record in await self.read():
            found.setdefault(record.key.decode(), []).append(record.value.decode().strip('"'))
        return found


@pytest.fixture
async def broker_topic(kafka_settings: ServiceSettings) -> AsyncIterator[BrokerTopic]:
    """Give a topic of the test's own."""
    name = f"batches-{uuid4().hex[:10]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_settings.kafka_broker)
    await admin.start()
    limit = {"max.message.bytes": str(LIMIT_BYTES)}
    await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=limit)])
    opened = BrokerTopic(kafka_settings, name)
    yield opened
    await opened.producer.close()
    await admin.delete_topics([name])
    await admin.close()


async def test_a_key_has_the_partition_that_the_producer_gives_it(broker_topic: BrokerTopic) -> None:
    producer, keys = broker_topic.producer, [f"order-{number}" for number in range(100)] + ["", "ö", "k" * 31]
    assert producer.partition_of(broker_topic.name, "order-1") is None, "nothing is known before the first send"

    async def sent(key: str) -> bool:
        await producer.send(broker_topic.name, b"1", key.encode(), [])
        return True

    await eventually(lambda: sent("first"))
    for key in keys:
        await producer.send(broker_topic.name, b"1", key.encode(), [])
    found = {record.key.decode(): record.partition for record in await broker_topic.read()}
    assert {key: producer.partition_of(broker_topic.name, key) for key in keys} == {key: found[key] for key in keys}
    assert set(found.values()) == set(range(PARTITIONS))


async def relayed(bench: Bench, relay: Relay, *, parked: int = 0) -> None:
    """Relay until all events are published, but for parked ones, whatever backs off."""

    async def done() -> bool:
        await bench.session.execute(
            "UPDATE outbox SET next_attempt_at = now() WHERE published_at IS NULL AND parked_at IS NULL"
        )
        while await relay.drain_once(bench.session):
            pass
        rows = await bench.session.fetch("SELECT parked_at FROM outbox WHERE published_at IS NULL")
        return len(rows) == parked and all(row["parked_at"] for row in rows)

    await eventually(done, 30)


async def publish(bench: Bench, topic: str, *names: str, padding: int = 0) -> None:
    """Commit events named by their key and a number: `a1` has the key `a`."""
    async with bench.db.transaction() as tx:
        await tx.publish(*(Event.of(topic, name[0], f'"{name}{" " * padding}"') for name in names))


async def test_a_row_in_a_batch_is_the_same_record_as_a_row_that_is_sent_by_itself(
    bench: Bench, broker_topic: BrokerTopic
) -> None:
    relay = Relay(bench.settings, bench.db, broker_topic.producer)
    for names in (["a1"], ["a2", "b1", "a3", "c1"]):
        await publish(bench, broker_topic.name, *names)
        await relayed(bench, relay)
    assert {key: len(values) for key, values in (await broker_topic.by_key()).items()} == {"a": 3, "b": 1, "c": 1}
    rows = {row["payload"]: row for row in await bench.session.fetch("SELECT * FROM outbox")}
    for record in await broker_topic.read():
        row = rows[record.value.decode()]
        headers = dict(record.headers)
        assert headers["ce_id"].decode() == str(row["event_id"])
        assert headers["ce_type"].decode() == broker_topic.name
        assert {"ce_source", "ce_specversion", "ce_time", "content-type"} <= set(headers)
        assert 0 <= record.timestamp - row["created_at"].timestamp() * 1000 < 60_000
        assert record.timestamp_type == 0


async def test_many_events_of_one_key_arrive_in_their_order(bench: Bench, broker_topic: BrokerTopic) -> None:
    names = [f"a{number}" for number in range(1, 1_201)]
    await publish(bench, broker_topic.name, *names)
    await relayed(bench, Relay(bench.settings, bench.db, broker_topic.producer))
    assert await broker_topic.by_key() == {"a": names}


async def test_a_row_that_the_broker_refuses_is_parked_alone_and_later_ones_of_its_key_wait_for_that(
    bench: Bench, broker_topic: BrokerTopic
) -> None:
    relay = Relay(bench.settings, bench.db, broker_topic.producer)
    await publish(bench, broker_topic.name, "a1", "b1")
    await relayed(bench, relay)
    await publish(bench, broker_topic.name, "a2", "b2")
    await publish(bench, broker_topic.name, "b3", padding=LIMIT_BYTES)
    await publish(bench, broker_topic.name, "b4", "a3", "c1", "b5")
    while await relay.drain_once(bench.session):
        pass
    assert await broker_topic.by_key() == {"a": ["a1", "a2", "a3"], "b": ["b1", "b2"], "c": ["c1"]}
    await relayed(bench, relay, parked=1)
    attempts = await bench.session.fetch("SELECT attempts FROM outbox ORDER BY id")
    assert [row["attempts"] for row in attempts] == [0, 0, 0, 0, MAX_TRIES, 0, 0, 0, 0]
    assert (await broker_topic.by_key())["b"] == ["b1", "b2", "b4", "b5"]


class FaultyLog(Producer):
    """A log of one partition, which is known to the producer or not. What happens to the n-th send is in `faults`.

    `refused`: the broker stores nothing and says why. `away`: nothing is stored. `unanswered`: it is stored, and no
    acknowledgement comes. `slow`: it is stored, and the acknowledgement comes while the relay does other things.
    """

    def __init__(self, faults: dict[int, str], *, known: bool = True) -> None:
        self.faults, self.known = faults, known
        self.stored: list[str] = []
        self.sends: list[int] = []

    def partition_of(self, topic: str, key: str) -> int | None:
        return 0 if self.known else None

    async def send(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Iterable[tuple[str, bytes]]
    ) -> Place:
        await self._store([(value or b"").decode().strip('"')])
        return Place(0, 0)

    async def send_batch(self, topic: str, partition: int, records: Sequence[Record]) -> Place:
        await self._store([record.value.decode().strip('"') for record in records])
        return Place(partition, 0)

    async def _store(self, names: list[str]) -> None:
        fault = self.faults.get(len(self.sends))
        self.sends.append(len(names))
        if fault == "refused":
            raise MessageSizeTooLargeError
        if fault == "away":
            raise OSError("the broker is away")
        self.stored += names
        if fault == "unanswered":
            raise TimeoutError("no ack")
        if fault == "slow":
            await asyncio.sleep(0.05)


NAMES = ["a1", "b1", "a2", "c1", "b2", "a3", "a4", "c2", "b3", "a5"]


def assert_in_order(stored: list[str]) -> None:
    """Check that all events are there, and that the first copies of each key are in order."""
    first = list(dict.fromkeys(stored))
    assert sorted(first) == sorted(NAMES), "an event is lost"
    for key in "abc":
        of_key = [name for name in first if name[0] == key]
        assert of_key == sorted(of_key), f"{key} is out of order in {stored}"


@pytest.mark.parametrize("fault", ["refused", "away", "unanswered", "slow"])
@pytest.mark.parametrize("known", [True, False], ids=["in batches", "one by one"])
async def test_the_order_of_each_key_holds_whichever_send_fails(
    bench: Bench, fault: str, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "SLOW_SEND_S", 0.01)
    settings = bench.settings.model_copy(update={"outbox_max_tries": 9})
    for also in ({}, {1: "refused", 2: fault}):
        position, reached = 0, True
        while reached:
            log = FaultyLog({position: fault} | {position + behind: kind for behind, kind in also.items()}, known=known)
            await bench.session.execute("TRUNCATE outbox")
            await publish(bench, "topic", *NAMES[:6])
            relay = Relay(settings, bench.db, log)
            await relay.drain_once(bench.session)
            await publish(bench, "topic", *NAMES[6:])
            await relayed(bench, relay)
            assert_in_order(log.stored)
            position, reached = position + 1, position < len(log.sends)
        assert position > 2, "one send of several has failed"


async def test_without_a_fault_the_events_of_a_partition_are_one_send_and_each_is_stored_once(bench: Bench) -> None:
    log = FaultyLog({})
    await publish(bench, "topic", *NAMES)
    await relayed(bench, Relay(bench.settings, bench.db, log))
    assert (log.sends, log.stored) == ([len(NAMES)], NAMES)

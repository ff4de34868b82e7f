"""Topics and consumer groups, read on a real broker."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from console.client import topics as client
from console.client.groups import Groups
from console.client.kafka import KafkaReader
from console.client.topics import Topics
from console.model.records import Event
from testkit import Servers


@pytest.fixture(scope="session")
def broker(servers: Servers) -> str:
    return servers.kafka()


@pytest.fixture
async def reader(broker: str) -> AsyncIterator[KafkaReader]:
    opened = KafkaReader(bootstrap_servers=broker)
    yield opened
    await opened.close()


@pytest.fixture
async def producer(broker: str) -> AsyncIterator[AIOKafkaProducer]:
    opened = AIOKafkaProducer(bootstrap_servers=broker)
    await opened.start()
    yield opened
    await opened.stop()


@pytest.fixture
async def topic(broker: str) -> AsyncIterator[str]:
    """A topic of its own, with three partitions."""
    name, admin = f"console-{uuid4().hex}", AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics([NewTopic(name, 3, 1)])
    yield name
    await admin.delete_topics([name])
    await admin.close()


def values(events: list[Event]) -> list[bytes | None]:
    return [event.value for event in events]


async def test_a_topic_is_read_to_its_end_page_by_page_also_after_another_one(
    reader: KafkaReader, producer: AIOKafkaProducer, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SHOWN", 7)
    topics = Topics(reader)
    assert (await topics.newest(topic)).events == []
    begin = datetime.now(UTC) - timedelta(minutes=1)
    for number in range(20):
        await producer.send_and_wait(
            topic, b"%d" % number, partition=number % 3, timestamp_ms=1_700_000_000_000 + number
        )
    reading = await topics.since(topic, datetime(2020, 1, 1, tzinfo=UTC))
    found = values(reading.events)
    while reading.more:
        reading = await topics.onwards(reading.positions)
        found += values(reading.events)
    assert found == [b"%d" % number for number in range(20)]
    assert values((await topics.newest(topic)).events) == [b"%d" % number for number in range(13, 20)]
    assert (await topics.since(topic, begin)).events == []
    [known] = [each for each in await topics.all() if each.name == topic]
    assert (known.partitions, known.kept, known.end) == (3, 20, 20)


async def test_one_record_is_read_with_its_headers_and_none_beyond_the_end(
    reader: KafkaReader, producer: AIOKafkaProducer, topic: str
) -> None:
    headers = [("a", b"\xff"), ("traceparent", b"x")]
    sent = await producer.send_and_wait(topic, b"\x00", key=b"\xfe", partition=1, headers=headers)
    topics = Topics(reader)
    found = await topics.record(topic, 1, sent.offset)
    assert found is not None
    assert (found.raw_key, found.value, found.raw_headers) == (b"\xfe", b"\x00", tuple(headers))
    for partition, offset in ((1, sent.offset + 1), (0, 0), (9, 0)):
        assert await topics.record(topic, partition, offset) is None
    assert await topics.record("no-such-topic", 0, 0) is None


async def test_a_group_shows_position_end_and_member_and_then_nobody(
    broker: str, reader: KafkaReader, producer: AIOKafkaProducer, topic: str
) -> None:
    for number in range(5):
        await producer.send_and_wait(topic, b"%d" % number, partition=2)
    name = f"group-{uuid4().hex}"
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=broker, group_id=name, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    read = 0
    while read < 5:
        read += sum(map(len, (await consumer.getmany(timeout_ms=200)).values()))
    [place] = [each for each in consumer.assignment() if each.partition == 2]
    await consumer.commit({place: 3})
    [group] = [each for each in await Groups(reader).all() if each.name == name]
    [part] = [each for each in group.parts if each.partition == 2]
    assert (group.state, len(group.members), group.lag) == ("Stable", 1, 2)
    assert (part.position, part.end, part.member) == (3, 5, group.members[0])
    await consumer.stop()
    [group] = [each for each in await Groups(reader).all() if each.name == name]
    assert (group.state, group.members, group.lag, group.is_left) == ("Empty", (), 2, True)

"""Records that can't be unpacked, on a real broker: each is a dead letter with its place, and the next is read."""

from hashlib import sha256

import pytest
from aiokafka import AIOKafkaProducer, codec
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from chassis.errors import InvalidMessage
from chassis.events import Message
from testkit import eventually
from testkit.batches import CODECS, batch, produce, record

from .conftest import Join, Topic

COMPRESS = {
    "gzip": codec.gzip_encode,
    "snappy": codec.snappy_encode,
    "lz4": codec.lz4_encode,
    "zstd": codec.zstd_encode,
}


@pytest.mark.parametrize("name", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_batch_of_any_codec_is_read(topic: Topic, join: Join, name: str) -> None:
    member = join()
    values = [f"{name}-{number}".encode() * 100 for number in range(20)]
    async with AIOKafkaProducer(bootstrap_servers=topic.broker, compression_type=name, linger_ms=50) as producer:
        for sent in [await producer.send(topic.name, value, key=b"order-1") for value in values]:
            await sent
    await eventually(lambda: member.handled == values, 20)
    assert not member.task.done()
    assert await topic.dead_letters() == []


async def test_a_letter_that_is_too_large_goes_without_its_value(topic: Topic, join: Join) -> None:
    member = join()

    async def handle(message: Message) -> None:
        if message.value != b"after":
            raise InvalidMessage("invalid_json", "value: not JSON")

    member.handle = handle
    value = b"{" * (3 * 1024 * 1024)
    await produce(topic.broker, topic.name, batch(codec.gzip_encode(record(0, b"order-7", value)), 1, codec=1))
    await topic.send(b"after")
    await eventually(lambda: member.handled == [b"after"], 20)
    [letter] = await eventually(topic.dead_letters, 20)
    headers = {name: data.decode() for name, data in letter.headers}
    assert (letter.key, letter.value, headers["x-reason"]) == (b"order-7", b"", "message_too_large")
    assert headers["x-value-length"] == str(len(value))
    assert headers["x-value-sha256"] == sha256(value).hexdigest()


@pytest.mark.parametrize("part", ["key", "header"])
async def test_a_letter_with_a_key_or_headers_that_are_too_large_keeps_what_tells_what_it_was(
    topic: Topic, join: Join, part: str
) -> None:
    member = join()

    async def handle(message: Message) -> None:
        if message.value != b"after":
            raise InvalidMessage("invalid_json", "value: not JSON")

    member.handle = handle
    long = b"k" * (3 * 1024 * 1024)
    key, extra = (long, b"") if part == "key" else (b"order-7", long)
    poison = record(0, key, b"{", [(b"ce_id", b"17"), (b"ce_source", b"go"), (b"x-long", extra)])
    await produce(topic.broker, topic.name, batch(codec.gzip_encode(poison), 1, codec=1))
    await topic.send(b"after")
    await eventually(lambda: member.handled == [b"after"], 20)
    [letter] = await eventually(topic.dead_letters, 20)
    headers = {name: data.decode() for name, data in letter.headers}
    assert (headers["ce_id"], headers["ce_source"], headers["x-source-offset"]) == ("17", "go", "0")
    assert headers["x-headers-dropped"] == "1"
    if part == "key":
        assert (letter.key, headers["x-key-length"]) == (None, str(len(long)))
        assert headers["x-key-sha256"] == sha256(long).hexdigest()
    else:
        assert letter.key == b"order-7"


async def test_a_dead_letter_topic_with_the_limit_of_the_broker_takes_a_letter_without_its_value(
    topic: Topic, join: Join
) -> None:
    """An existing topic is left as it is, and its limit may be that of all topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=topic.broker)
    await admin.start()
    limit = ConfigResource(ConfigResourceType.TOPIC, f"{topic.name}.dlq", {"max.message.bytes": "1048588"})
    await admin.alter_configs([limit])
    await admin.close()
    member = join()

    async def handle(message: Message) -> None:
        if message.value != b"after":
            raise InvalidMessage("invalid_json", "value: not JSON")

    member.handle = handle
    await topic.send(b"{" * 1_048_400)
    await topic.send(b"after")
    await eventually(lambda: member.handled == [b"after"], 20)
    [letter] = await eventually(topic.dead_letters, 20)
    assert dict(letter.headers)["x-value-length"] == b"1048400"


async def test_a_record_whose_header_name_is_not_utf8_is_a_dead_letter_and_its_batch_goes_on(
    topic: Topic, join: Join
) -> None:
    member = join()
    records = [record(0, b"a", b"1"), record(1, b"b", b"2", [(b"\xff\xfe", b"x")]), record(2, b"c", b"3")]
    await produce(topic.broker, topic.name, batch(b"".join(records), 3))
    await topic.send(b"4")
    await eventually(lambda: member.handled == [b"1", b"3", b"4"], 20)
    [letter] = await eventually(topic.dead_letters, 20)
    headers = {name: value.decode() for name, value in letter.headers}
    assert (letter.key, letter.value) == (None, b"")
    assert headers["x-reason"] == "unreadable_record"
    assert (headers["x-source-topic"], headers["x-source-partition"]) == (topic.name, "0")
    assert headers["x-source-offset"] == "1"
    assert "x-source-last-offset" not in headers
    await member.end()
    assert await topic.committed(f"g-{topic.name}") == 4


@pytest.mark.parametrize("name", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_batch_that_inflates_beyond_the_bound_is_one_dead_letter_with_its_range(
    topic: Topic, join: Join, name: str
) -> None:
    member = join()
    content = b"".join(record(number, b"a", bytes(3 * 1024 * 1024)) for number in range(3))
    await produce(topic.broker, topic.name, batch(COMPRESS[name](content), 3, codec=CODECS[name]))
    await topic.send(b"after")
    await eventually(lambda: member.handled == [b"after"], 20)
    [letter] = await eventually(topic.dead_letters, 20)
    headers = {name: value.decode() for name, value in letter.headers}
    assert headers["x-reason"] == "unreadable_record"
    assert (headers["x-source-offset"], headers["x-source-last-offset"]) == ("0", "2")
    assert "8388608" in headers["x-error"]

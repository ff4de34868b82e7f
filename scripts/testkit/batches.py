"""Record batches as bytes, for what no client sends: header names that are not UTF-8, any codec, a body of any kind."""

import struct
from collections.abc import Sequence

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NotLeaderForPartitionError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c, encode_varint

from testkit import eventually

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
_TIMEOUT_MS = 10_000

Headers = Sequence[tuple[bytes, bytes | None]]


def varint(number: int) -> bytes:
    """Encode a number as records do: zigzag, seven bits per byte."""
    out = bytearray()
    encode_varint(number, out.append)
    return bytes(out)


def _field(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def record(delta: int, key: bytes | None, value: bytes | None, headers: Headers = ()) -> bytes:
    """Encode one record of a batch, `delta` offsets after its first."""
    body = b"\0" + varint(0) + varint(delta) + _field(key) + _field(value) + varint(len(headers))
    body += b"".join(_field(name) + _field(data) for name, data in headers)
    return varint(len(body)) + body


def batch(content: bytes, count: int, *, codec: int = 0, base: int = 0, time_ms: int = 0, magic: int = 2) -> bytes:
    """Encode a batch around its records, which must be compressed already when `codec` says so."""
    tail = struct.pack(">hiqqqhii", codec, count - 1, time_ms, time_ms, -1, -1, -1, count) + content
    return struct.pack(">qiibI", base, 9 + len(tail), 0, magic, calc_crc32c(tail)) + tail


def spoiled(data: bytes, at: int = -1) -> bytes:
    """Return a batch with one byte changed, so that its checksum is wrong."""
    changed = bytearray(data)
    changed[at] ^= 0xFF
    return bytes(changed)


async def produce(broker: str, topic: str, data: bytes, partition: int = 0) -> None:
    """Send a batch as it is, once the partition has a leader. Raises the broker's refusal."""
    client = AIOKafkaClient(bootstrap_servers=broker)
    await client.bootstrap()

    async def sent() -> bool:
        await client.set_topics([topic])
        await client.force_metadata_update()
        leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        if leader is None or leader < 0:
            return False
        answer = await client.send(leader, ProduceRequest(None, -1, _TIMEOUT_MS, [(topic, [(partition, data)])]))
        [(_, [(_, code, *_)])] = answer.topics
        error = for_code(code)
        if error in (NotLeaderForPartitionError, UnknownTopicOrPartitionError):
            return False
        if code:
            raise error(topic)
        return True

    try:
        await eventually(sent)
    finally:
        await client.close()

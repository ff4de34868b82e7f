"""Attacks by messages: what no handler can apply, on every topic that a service consumes."""

import asyncio
import os
from collections import Counter
from itertools import count
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from contracts.topics import CONSUMERS

INFLATED_BYTES = 8 << 20
CODECS = (None, "gzip", "snappy", "lz4", "zstd")
# Orders that do not exist have numbers from here on.
FIRST_INVENTED = 7_000_000_000
_order_ids = count(FIRST_INVENTED)

Header = tuple[str, bytes]


class Poison:
    """Producers for each codec."""

    def __init__(self, broker: str) -> None:
        self._producers = [
            AIOKafkaProducer(bootstrap_servers=broker, compression_type=codec, max_request_size=4 * INFLATED_BYTES)
            for codec in CODECS
        ]

    async def open(self) -> None:
        for producer in self._producers:
            await producer.start()

    async def close(self) -> None:
        for producer in self._producers:
            await producer.stop()

    async def send(self, seen: Counter[str]) -> None:
        """Send one record of each sort to each topic."""
        records = [(topic, record) for topic in CONSUMERS for record in enumerate(_records(topic))]
        calls = [self._send(topic, number, *record, seen) for topic, (number, record) in records]
        await asyncio.gather(*calls)

    async def inflate(self, seen: Counter[str]) -> None:
        """Send a record to each topic that is small on the wire and INFLATED_BYTES when it is read."""
        value = b'{"order_id":' + b" " * INFLATED_BYTES
        await asyncio.gather(*(self._send(topic, 1, value, [], seen) for topic in CONSUMERS))

    async def _send(
        self, topic: str, number: int, value: bytes | None, headers: list[Header], seen: Counter[str]
    ) -> None:
        key = None if number % 3 == 0 else f"order-{next(_order_ids)}".encode()
        try:
            await self._producers[number % len(CODECS)].send_and_wait(topic, value, key=key, headers=headers)
            seen["sent"] += 1
        except KafkaError as error:
            seen[type(error).__name__] += 1


def _records(topic: str) -> list[tuple[bytes | None, list[Header]]]:
    order = next(_order_ids)
    whole: list[Header] = [
        ("ce_id", uuid4().bytes.hex().encode()),
        ("ce_type", topic.encode()),
        ("ce_source", b"siege"),
        ("ce_specversion", b"1.0"),
        ("content-type", b"application/json"),
    ]
    return [
        (b"{broken", whole),
        (b"\xff\xfe\x00", [("ce_id", b"\xff\xff"), ("traceparent", b"\0bad"), ("x", os.urandom(512))]),
        (None, []),
        (b"[" + b"{}," * 50_000 + b"{}]", whole),
        (b"[" * 50_000, whole),
        (f'{{"order_id":{order},"products":null,"total_amount":1e400}}'.encode(), whole),
        (f'{{"order_id":{10**30}}}'.encode(), [("traceparent", b"a" * 1000), ("tracestate", b"b=" + b"c" * 8000)]),
        (b'{"order_id":"' + b"9" * 100_000 + b'"}', whole),
    ]

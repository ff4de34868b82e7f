"""The batches of a fetch: what can't be unpacked becomes a record whose value is `Unreadable`, with its place.

aiokafka raises out of the fetch when a record can't be unpacked, and fetches the same batch again, without end. So the
fetcher of `make_consumer` reads batches with `Batches`.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

from chassis.kafka.inflate import MAX_INFLATED_BYTES, Unpackable, inflate
from chassis.kafka.records import BASE_AND_LENGTH_BYTES, CODEC_MASK, HEADER, unpacked, unreadable

# Base offset, length, leader epoch, magic: the same bytes in all versions. The length counts what follows it.
_HEAD = struct.Struct(">qiib")
_SHORTEST_BYTES = BASE_AND_LENGTH_BYTES + 14


@dataclass(frozen=True, slots=True)
class _Batch:
    """The fields of a batch that aiokafka reads; its checksum has been checked."""

    base_offset: int
    next_offset: int
    records: Iterator[Any]
    producer_id: int | None = None
    is_transactional: bool = False
    is_control_batch: bool = False

    def validate_crc(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return self.records


class Batches:
    """Reads the batches of one partition's part of a fetch. Has the methods of aiokafka's MemoryRecords."""

    def __init__(self, data: bytes | None) -> None:
        self._data = data or b""
        self._at = 0
        self._inflated_bytes = 0

    def size_in_bytes(self) -> int:
        return len(self._data)

    def _end(self) -> int | None:
        """Return where the next batch ends, or None if it is cut off, as the last one of a fetch may be."""
        if self._at + _HEAD.size > len(self._data):
            return None
        _, length, _, _ = _HEAD.unpack_from(self._data, self._at)
        end = self._at + BASE_AND_LENGTH_BYTES + int(length)
        return end if self._at + _SHORTEST_BYTES <= end <= len(self._data) else None

    def has_next(self) -> bool:
        """Whether there is another batch to read. What is behind a lot of inflated data is fetched again later.

        Otherwise a hundred batches, a few KiB each as they are sent, would be in memory at a time.
        """
        return self._inflated_bytes < MAX_INFLATED_BYTES and self._end() is not None

    def next_batch(self) -> Any:
        end = self._end()
        if end is None:
            return None
        data, self._at = self._data[self._at : end], end
        try:
            return _batch(data, self._inflated)
        except Exception as error:
            return self._broken(data, error)

    def _inflated(self, size_bytes: int) -> None:
        self._inflated_bytes += size_bytes

    def _broken(self, data: bytes, error: Exception) -> _Batch:
        """Make the batch whose header can't be trusted. Its last offset is the one before the batch that follows."""
        base, _, _, magic = _HEAD.unpack_from(data)
        last = base
        if len(self._data) - self._at >= 8:
            (following,) = struct.unpack_from(">q", self._data, self._at)
            last = max(following - 1, base)
        elif magic == 2 and len(data) >= HEADER.size:
            header = HEADER.unpack_from(data)
            if header[6] == header[-1] - 1 and 0 <= header[6] <= len(data):
                last = base + header[6]
        return _Batch(base, last + 1, iter([unreadable(base, last, error)]))


def _batch(data: bytes, inflated: Callable[[int], None]) -> Any:
    """Open a batch, and report how many bytes are inflated. Raises what its parts raise when its header is wrong."""
    magic = _HEAD.unpack_from(data)[3]
    if magic in (0, 1):
        return _legacy(data, magic)
    if magic != 2 or len(data) < HEADER.size:
        raise Unpackable(f"no record batch of a known version: version {magic}, {len(data)} bytes")
    batch = DefaultRecordBatch(data)
    if not batch.validate_crc():
        raise Unpackable("the checksum of the batch is wrong")
    if batch.is_control_batch and HEADER.unpack_from(data)[-1]:
        return batch
    # aiokafka fails at a control batch whose record compaction has removed. One that is empty is as any other.
    records = unpacked(batch, data, inflated)
    return _Batch(
        batch.base_offset, batch.next_offset, records, batch.producer_id, batch.is_transactional, is_control_batch=False
    )


def _legacy(data: bytes, magic: int) -> _Batch:
    """Open a message set of versions 0 and 1. It holds one message, or several inside a compressed one."""
    batch = LegacyRecordBatch(data, magic)
    if not batch.validate_crc():
        raise Unpackable("the checksum of the message is wrong")
    # Twice: to know that the bound holds before aiokafka inflates without one.
    [codec, at] = [data[17] & CODEC_MASK, 18 if magic == 0 else 26]
    if codec:
        (key_length,) = struct.unpack_from(">i", data, at)
        inflate(codec, data[at + 8 + max(key_length, 0) :])
    records = list(batch)
    return _Batch(records[0].offset, batch.next_offset, iter(records))


def make_consumer(kind: type[AIOKafkaConsumer] = AIOKafkaConsumer, **options: Any) -> AIOKafkaConsumer:
    """Make a consumer that returns a record with the value `Unreadable` for what it can't unpack. It is not started."""
    # aiokafka offers no other place: the fetcher looks this name up for each answer of the broker.
    fetcher.MemoryRecords = Batches
    return kind(**options)

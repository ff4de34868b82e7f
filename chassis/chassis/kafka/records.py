"""The records of one batch of version 2: each that can't be unpacked is left out, and named with its offset."""

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import decode_varint_py

from chassis.events import Unreadable
from chassis.kafka.inflate import MAX_INFLATED_BYTES, Unpackable, inflate

# Base offset, length, leader epoch, magic, checksum, attributes, last offset delta, two timestamps, producer id, epoch,
# sequence, count. The length counts what follows it.
HEADER = struct.Struct(">qiibIhiqqqhii")
BASE_AND_LENGTH_BYTES = 12
CODEC_MASK = 0x07
# To find out that a record is broken takes 30 us, and a batch of 1 MiB may inflate to 600,000 of them.
MAX_BROKEN = 1_000


@dataclass(frozen=True, slots=True)
class _Stand:
    """The fields of a record that aiokafka reads, around an `Unreadable`."""

    offset: int
    value: Unreadable
    timestamp: int = field(default_factory=lambda: int(time.time() * 1000))
    timestamp_type: int = 0
    key: None = None
    checksum: None = None
    headers: tuple[()] = ()


def unreadable(first: int, last: int, error: Exception) -> _Stand:
    """Make the record that stands for these offsets."""
    # aiokafka skips records below its position, which may be inside the batch: the last offset is never below it.
    return _Stand(last, Unreadable(first, last, str(error)))


def unpacked(batch: Any, data: bytes, inflated: Callable[[int], None]) -> Iterator[Any]:
    """Yield the records of a batch of version 2. Those from the first broken one on are unpacked one by one.

    `inflated` is told the size of records that were compressed.
    """
    base, last, count = batch.base_offset, batch.next_offset - 1, HEADER.unpack_from(data)[-1]
    try:
        data = _without_compression(batch, data, inflated)
    except Unpackable as error:
        yield unreadable(base, last, error)
        return
    dense, done = count == last - base + 1, 0
    due = base
    # aiokafka raises different errors for different defects; the record that has one is found below.
    with suppress(Exception):
        for record in DefaultRecordBatch(data):
            if not _fits(record, due, last, dense=dense):
                break
            due, done = record.offset + 1, done + 1
            yield record
        else:
            return
    yield from _joined(_one_by_one(data, done, due, last, dense=dense))


def _without_compression(batch: Any, data: bytes, inflated: Callable[[int], None]) -> bytes:
    """Return a batch with its records inflated. Raises Unpackable."""
    if not batch.compression_type:
        return data
    try:
        content = inflate(batch.compression_type, data[HEADER.size :])
    except Unpackable:
        # It may have been inflated up to the bound without a result. So a few of those are enough for one fetch, too.
        inflated(MAX_INFLATED_BYTES // 4)
        raise
    inflated(len(content))
    return _with_content(data, HEADER.unpack_from(data)[-1], content)


def _with_content(data: bytes, count: int, content: bytes) -> bytes:
    """Return a batch with the header of `data` and other records, which are not compressed. Its checksum is wrong."""
    base, _, epoch, magic, crc, attributes, *middle, _ = HEADER.unpack_from(data)
    length = HEADER.size - BASE_AND_LENGTH_BYTES + len(content)
    return HEADER.pack(base, length, epoch, magic, crc, attributes & ~CODEC_MASK, *middle, count) + content


def _fits(record: Any, due: int, last: int, *, dense: bool) -> bool:
    """Whether a record's offset, which its producer has written, is one that the broker has given to its batch.

    A dense batch has one record for each offset; in another one compaction has removed some.
    """
    return bool(record.offset == due) if dense else bool(due <= record.offset <= last)


def _one_by_one(data: bytes, done: int, due: int, last: int, *, dense: bool) -> Iterator[Any]:
    """Yield the records after the first `done`, each unpacked by itself, until too many are broken."""
    broken = 0
    try:
        for piece in islice(_pieces(data), done, None):
            if due > last:
                return
            record = _single(data, piece, due, last, dense=dense)
            broken += isinstance(record, _Stand)
            if broken > MAX_BROKEN:
                raise Unpackable(f"more than {MAX_BROKEN:,} records of the batch are broken")
            yield record
            due = record.offset + 1
        if dense and due <= last:
            raise Unpackable("the batch has fewer records than its header says")
    except Unpackable as error:
        if due <= last:
            yield unreadable(due, last, error)


def _single(data: bytes, piece: bytes, due: int, last: int, *, dense: bool) -> Any:
    """Unpack one record by the header of its batch; one that can't be unpacked has the offset `due`."""
    try:
        [record] = DefaultRecordBatch(_with_content(data, 1, piece))
        if not _fits(record, due, last, dense=dense):
            raise Unpackable(f"the record claims offset {record.offset}")
    except Exception as error:
        return unreadable(due, due, error)
    return record


def _pieces(data: bytes) -> Iterator[bytes]:
    """Cut the content of a batch at the lengths of its records. Raises Unpackable."""
    at = HEADER.size
    while at < len(data):
        try:
            size, body = decode_varint_py(data, at)
        except (IndexError, ValueError) as error:
            raise Unpackable("the length of a record is broken") from error
        if size < 0 or body + size > len(data):
            raise Unpackable("a record ends beyond its batch")
        yield data[at : body + size]
        at = body + size


def _joined(records: Iterator[Any]) -> Iterator[Any]:
    """Join neighbours that can't be unpacked: a batch of a million broken records is one dead letter."""
    broken: _Stand | None = None
    for record in records:
        if isinstance(record, _Stand):
            broken = record if broken is None else _Stand(record.offset, broken.value._replace(last=record.value.last))
            continue
        if broken is not None:
            yield broken
            broken = None
        yield record
    if broken is not None:
        yield broken

"""Each offset of a fetch is a record or a named place that can't be unpacked; no batch ends the fetch."""

import gzip
import inspect
import struct
import time
import zlib
from collections.abc import Iterator
from typing import Any, cast

import cramjam
import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from chassis.events import Unreadable
from chassis.kafka.batches import Batches, make_consumer
from chassis.kafka.inflate import MAX_INFLATED_BYTES, Unpackable, inflate
from chassis.kafka.records import MAX_BROKEN
from testkit.batches import CODECS, batch, record, spoiled

PLACE = TopicPartition("order.created", 0)
BAD_NAME = [(b"\xff\xfe", b"x")]


def fetched(data: bytes, position: int = 0) -> tuple[list[Any], int]:
    """Read a fetch as aiokafka does. Return each record's value or unreadable range, and the next position."""
    records = PartitionRecords(
        PLACE, cast("Any", Batches(data)), [], position, None, None, check_crcs=True, isolation_level=READ_COMMITTED
    )
    found = [(each.value[:2] if isinstance(each.value, Unreadable) else each.value) for each in records]
    return found, records.next_fetch_offset


def three(*bad: int, base: int = 0) -> bytes:
    """Encode a batch of `1`, `2`, `3`, of which those at these places have a header name that is not UTF-8."""
    records = [record(n, b"k", str(n + 1).encode(), BAD_NAME if n in bad else ()) for n in range(3)]
    return batch(b"".join(records), 3, base=base)


async def test_the_fetches_of_a_consumer_are_read_with_this_reader() -> None:
    await make_consumer(bootstrap_servers="127.0.0.1:1").stop()
    assert fetcher.MemoryRecords is Batches
    assert "MemoryRecords(part_data[-1])" in inspect.getsource(fetcher.Fetcher), "aiokafka reads fetches in another way"


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        ((), [b"1", b"2", b"3"]),
        ((0,), [(0, 0), b"2", b"3"]),
        ((1,), [b"1", (1, 1), b"3"]),
        ((2,), [b"1", b"2", (2, 2)]),
        ((0, 2), [(0, 0), b"2", (2, 2)]),
        ((1, 2), [b"1", (1, 2)]),
        ((0, 1, 2), [(0, 2)]),
    ],
)
def test_only_the_records_that_are_broken_are_left_out(bad: tuple[int, ...], found: list[Any]) -> None:
    assert fetched(three(*bad)) == (found, 3)
    assert fetched(three(*bad) + three(base=3)) == ([*found, b"1", b"2", b"3"], 6)


@pytest.mark.parametrize("codec", CODECS)
def test_records_of_every_codec_are_read_and_those_that_are_broken_named(codec: str) -> None:
    content = b"".join(record(n, b"k", b"v", BAD_NAME if n == 1 else ()) for n in range(3))
    packers: dict[str, Any] = {
        "none": lambda data: data,
        "gzip": gzip.compress,
        "snappy": cramjam.snappy.compress_raw,
        "lz4": cramjam.lz4.compress,
        "zstd": cramjam.zstd.compress,
    }
    assert fetched(batch(bytes(packers[codec](content)), 3, codec=CODECS[codec])) == ([b"v", (1, 1), b"v"], 3)


def broken_batches() -> Iterator[tuple[str, bytes]]:
    """Yield batches of the offsets 0, 1 and 2 that can't be unpacked at all."""
    yield "checksum", spoiled(three())
    yield "attributes", spoiled(three(), 22)
    yield "unknown codec", batch(b"abc", 3, codec=7)
    yield "version", batch(b"abc", 3, magic=9)
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        yield codec, batch(b"\x01no such stream\xff", 3, codec=CODECS[codec])
    yield "gzip cut off", batch(gzip.compress(bytes(1000))[:-9], 3, codec=1)
    yield "xerial", batch(b"\x82SNAPPY\x00" + bytes(8) + struct.pack(">i", -4) + b"abcd", 3, codec=2)
    yield "no records", batch(b"", 3)
    yield "short header", batch(b"", 3)[:40][:8] + struct.pack(">i", 28) + batch(b"", 3)[12:40]


@pytest.mark.parametrize("broken", [pytest.param(data, id=name) for name, data in broken_batches()])
def test_a_batch_that_can_not_be_unpacked_is_one_range_and_the_batches_around_it_are_read(broken: bytes) -> None:
    before, after = batch(record(0, b"k", b"before"), 1), batch(record(0, b"k", b"after"), 1, base=4)
    moved = struct.pack(">q", 1) + broken[8:]
    assert fetched(before + moved + after) == ([b"before", (1, 3), b"after"], 5)


def test_the_last_batch_of_a_fetch_is_passed_as_far_as_its_header_can_be_believed() -> None:
    assert fetched(spoiled(three())) == ([(0, 2)], 3)
    # The last offset delta says a million, the number of records three.
    lying = bytearray(spoiled(three()))
    lying[23:27] = struct.pack(">i", 1_000_000)
    assert fetched(bytes(lying)) == ([(0, 0)], 1)


def test_a_batch_of_many_broken_records_is_given_up_from_the_thousandth_on() -> None:
    count = 60_000
    content = b"".join(record(n, b"k", b"v", BAD_NAME if n else ()) for n in range(count))
    started = time.process_time()
    assert fetched(batch(gzip.compress(content), count, codec=1)) == ([b"v", (1, count - 1)], count)
    # Each of them would take 1.7 s.
    assert time.process_time() - started < 0.8
    few = b"".join(record(n, b"k", b"v", BAD_NAME if n < MAX_BROKEN else ()) for n in range(MAX_BROKEN + 1))
    assert fetched(batch(few, MAX_BROKEN + 1)) == ([(0, MAX_BROKEN - 1), b"v"], MAX_BROKEN + 1)


def test_a_fetch_that_begins_inside_a_broken_batch_passes_it() -> None:
    assert fetched(spoiled(three()), position=2) == ([(0, 2)], 3)
    assert fetched(three(1), position=2) == ([b"3"], 3)


@pytest.mark.parametrize(
    ("deltas", "found"),
    [
        ((0, 0, 0), [b"0", (1, 2)]),
        ((0, 900, 2), [b"0", (1, 1), b"2"]),
        ((2, 1, 0), [(0, 0), b"1", (2, 2)]),
        ((-5, 1, 2), [(0, 0), b"1", b"2"]),
    ],
)
def test_an_offset_that_the_broker_has_not_given_moves_nothing(deltas: tuple[int, ...], found: list[Any]) -> None:
    content = b"".join(record(delta, b"k", str(n).encode()) for n, delta in enumerate(deltas))
    assert fetched(batch(content, 3)) == (found, 3)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_wrong_number_of_records_leaves_none_out(count: int) -> None:
    content = b"".join(record(n, b"k", str(n).encode()) for n in range(3))
    found, position = fetched(batch(content, count))
    assert found[: min(count, 3)] == [b"0", b"1", b"2"][:count]
    assert position == count


def test_a_batch_that_is_cut_off_is_left_to_the_next_fetch() -> None:
    assert fetched(three() + three(base=3)[:-1]) == ([b"1", b"2", b"3"], 3)
    assert not Batches(three()[:-1]).has_next()
    assert Batches(None).size_in_bytes() == 0


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", [0, 1, 2])
def test_message_sets_of_old_versions_are_read_and_broken_ones_named(magic: int, codec: int) -> None:
    builder = LegacyRecordBatchBuilder(magic, codec, 1 << 20)
    for offset in range(2):
        builder.append(offset, 1000, b"k", str(offset).encode())
    data = bytes(builder.build())
    if codec:
        # The broker gives a compressed message the offset of the last one in it.
        data = struct.pack(">q", 1) + data[8:]
    assert fetched(data) == ([b"0", b"1"], 2)
    found, position = fetched(spoiled(data))
    assert (found[-1], position) == ((1, 1), 2)


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_what_inflates_beyond_the_bound_is_refused_before_it_is_made(codec: int) -> None:
    compress: Any = [gzip.compress, cramjam.snappy.compress_raw, cramjam.lz4.compress, cramjam.zstd.compress][codec - 1]
    assert len(inflate(codec, bytes(compress(bytes(MAX_INFLATED_BYTES))))) == MAX_INFLATED_BYTES
    with pytest.raises(Unpackable, match=f"more than {MAX_INFLATED_BYTES} bytes"):
        inflate(codec, bytes(compress(bytes(MAX_INFLATED_BYTES + 1))))


def test_a_fetch_of_many_bombs_is_read_a_few_at_a_time() -> None:
    size = MAX_INFLATED_BYTES // 4
    content = gzip.compress(record(0, b"k", b"v" * size))
    data = b"".join(batch(content, 1, codec=1, base=offset) for offset in range(100))
    found, position = fetched(data)
    assert ([len(value) for value in found], position) == ([size] * 4, 4)
    bomb = gzip.compress(bytes(MAX_INFLATED_BYTES + 1))
    data = b"".join(batch(bomb, 1, codec=1, base=offset) for offset in range(100))
    assert fetched(data) == ([(n, n) for n in range(4)], 4)


def test_a_control_batch_that_compaction_has_emptied_is_passed() -> None:
    transactional, control = 0x10, 0x20
    marker = struct.pack(">hh", 0, 0)
    whole = batch(record(0, marker, b""), 1, codec=transactional | control)
    empty = batch(b"", 0, codec=transactional | control)
    # As in a batch that the cleaner leaves, the offsets stay: the last one is its first.
    emptied = with_checksum(empty[:23] + struct.pack(">i", 0) + empty[27:])
    after = batch(record(0, b"k", b"after"), 1, base=1)
    assert fetched(with_checksum(with_producer(whole)) + after) == ([b"after"], 2)
    assert fetched(with_checksum(with_producer(emptied)) + after) == ([b"after"], 2)


def with_producer(data: bytes) -> bytes:
    """Give a batch the id of a producer."""
    return data[:43] + struct.pack(">q", 5) + data[51:]


def with_checksum(data: bytes) -> bytes:
    return data[:17] + struct.pack(">I", calc_crc32c(data[21:])) + data[21:]


def test_a_gzip_stream_of_many_members_is_bounded_as_a_whole() -> None:
    member = zlib.compress(bytes(1024 * 1024), wbits=31)
    assert len(inflate(1, member * 8)) == MAX_INFLATED_BYTES
    with pytest.raises(Unpackable):
        inflate(1, member * 9)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 4))
def test_whatever_bytes_are_changed_every_offset_is_read_or_named(changes: list[tuple[int, int]], codec: int) -> None:
    """The checksum is made right again: what a client can send, beside what a disk can spoil."""
    content = bytearray(b"".join(record(n, b"key", b"value" * 3, [(b"h", b"x")]) for n in range(5)))
    for at, byte in changes:
        content[at % len(content)] = byte
    found, position = fetched(batch(bytes(content), 5, codec=codec) + batch(record(0, b"k", b"end"), 1, base=5))
    named = [each for each in found if isinstance(each, tuple)]
    covered = sum(last - first + 1 for first, last in named) + len(found) - len(named)
    assert (covered, position, found[-1]) == (6, 6, b"end")

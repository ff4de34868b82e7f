"""Decompression with a bound: a batch that claims or reaches more bytes is refused before they are made."""

import struct
import zlib
from collections.abc import Callable, Iterator

import cramjam

MAX_INFLATED_BYTES = 8 * 1024 * 1024

# The framing that Java and Go clients put around snappy's blocks: a head of 16 bytes, then each block with its length.
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEAD_BYTES = 16


class Unpackable(Exception):
    """Data that can't be unpacked: the sentence says why."""


def inflate(codec: int, data: bytes) -> bytes:
    """Decompress the records of a batch; `codec` is Kafka's number. Raises Unpackable for whatever can't be done."""
    try:
        decompress = _CODECS[codec]
    except KeyError:
        raise Unpackable(f"unknown compression codec {codec}") from None
    try:
        return decompress(data)
    except (cramjam.DecompressionError, zlib.error, struct.error, ValueError) as error:
        if "failed to write whole buffer" in str(error):
            raise _too_large() from error
        raise Unpackable(f"broken compression: {error}") from error


def _too_large() -> Unpackable:
    return Unpackable(f"inflates to more than {MAX_INFLATED_BYTES} bytes")


def _gzip(data: bytes) -> bytes:
    out = bytearray()
    # A gzip stream may have several members.
    while data:
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        out += member.decompress(data, MAX_INFLATED_BYTES + 1 - len(out))
        if len(out) > MAX_INFLATED_BYTES:
            raise _too_large()
        if not member.eof:
            raise Unpackable("broken compression: the gzip stream ends early")
        data = member.unused_data
    return bytes(out)


def _snappy(data: bytes) -> bytes:
    blocks = list(_xerial_blocks(data)) if data.startswith(_XERIAL_MAGIC) else [data]
    if sum(cramjam.snappy.decompress_raw_len(block) for block in blocks) > MAX_INFLATED_BYTES:
        raise _too_large()
    return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)


def _xerial_blocks(data: bytes) -> Iterator[bytes]:
    at = _XERIAL_HEAD_BYTES
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        if not 0 <= size <= len(data) - at:
            raise Unpackable("broken compression: a snappy block ends beyond its batch")
        yield data[at : at + size]
        at += size


def _into_buffer(decompress_into: Callable[[bytes, bytearray], int]) -> Callable[[bytes], bytes]:
    def decompress(data: bytes) -> bytes:
        out = bytearray(MAX_INFLATED_BYTES)
        return bytes(memoryview(out)[: decompress_into(data, out)])

    return decompress


_CODECS: dict[int, Callable[[bytes], bytes]] = {
    1: _gzip,
    2: _snappy,
    3: _into_buffer(cramjam.lz4.decompress_into),
    4: _into_buffer(cramjam.zstd.decompress_into),
}

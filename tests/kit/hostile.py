"""Malformed and malicious bodies, ids and raw requests, with the answers that they must get."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

from tests.kit.answers import Outcome

LIMIT = 1024 * 1024
TOO_LARGE: Outcome = (413, "payload_too_large")
WRONG_TYPE: Outcome = (415, "unsupported_media_type")
NOT_FOUND: Outcome = (404, "not_found")
NO_METHOD: Outcome = (405, "method_not_allowed")

Body = dict[str, Any]

CONTENT_TYPES = (
    "",
    "text/plain",
    "text/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "application/jsonx",
    "application/ json",
    "application/xml",
    "image/json",
)

# Values that no field of any body accepts.
NO_VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "an object": {},
    "a list": [],
    "a list of one": [1],
    "an object of one": {"a": 1},
}

NO_TEXTS: dict[str, Any] = {
    "a number": 7,
    "a NUL": "\0",
    "a NUL inside": "a\0b",
    "half a pair": "\ud800",
    "the other half": "a\udc00",
    "halves in the wrong order": "\udc00\ud800",
    "half a pair inside": "a\udfffb",
}

# Values that no amount, id or quantity accepts; as JSON, because Python cannot write all of them.
NO_NUMBERS = {
    "text": '"1"',
    "empty text": '""',
    "below 0": "-1",
    "a fraction": "0.5",
    "2**63": str(2**63),
    "2**64": str(2**64),
    "-2**63-1": str(-(2**63) - 1),
    "400 digits": "9" * 400,
    "5000 digits": "9" * 5000,
    "1e400": "1e400",
    "-1e400": "-1e400",
    "1e999999999": "1e999999999",
    "0x10": "0x10",
    "010": "010",
    "+1": "+1",
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
}

IDS = (
    "0",
    "-1",
    "-0",
    "x",
    "1.5",
    "1.0",
    "1e3",
    "+1",
    "1_000",
    "0x10",
    "%201",
    "1%20",
    "%2B1",
    "%EF%BC%91",
    "%D9%A1",
    "null",
    "true",
    "NaN",
    "%00",
    "1%00",
    "%FF",
    "%ED%A0%80",
    "%2e%2e",
    "1;2",
    "1,2",
    "'",
    "1'--",
    "{}",
    "%7B%7D",
    str(2**63),
    str(2**64),
    "9" * 400,
    "9" * 5000,
)


def malformed(good: Body) -> Iterator[tuple[str, bytes]]:
    """Yield, by name, bodies that are not a JSON object in UTF-8."""
    text = json.dumps(good)
    deep = 1000
    yield "nothing", b""
    yield "blanks", b" \r\n\t"
    yield "a beginning", text[:-1].encode()
    yield "an end", text[1:].encode()
    yield "two of them", (text + text).encode()
    yield "a comma too many", (text[:-1] + ",}").encode()
    yield "single quotes", text.replace('"', "'").encode()
    yield "a comment", (text + "// so").encode()
    yield "a form", b"email=a&password=b"
    yield "compressed", gzip.compress(text.encode())
    for name, value in {"null": "null", "a list": f"[{text}]", "text": json.dumps(text), "a number": "1"}.items():
        yield f"{name} in its place", value.encode()
    for encoding in ("utf-16", "utf-16-be", "utf-32", "utf-32-le"):
        yield encoding, text.encode(encoding)
    yield "a byte that is no UTF-8", text.replace('"', '"\xff', 1).encode("latin-1")
    yield "half a pair as UTF-8", text.replace('"', '"\ud800', 1).encode("utf-8", "surrogatepass")
    yield "a NUL byte", text.replace('"', '"\0', 1).encode()
    yield "a NUL byte at its end", text.encode() + b"\0"
    yield "deep lists", b"[" * deep + b"]" * deep
    yield "deep objects", b'{"a":' * deep + b"1" + b"}" * deep
    yield "deep lists in a field of it", text[:-1].encode() + b', "x": ' + b"[" * deep + b"]" * deep + b"}"
    yield "deep and never closed", text[:-1].encode() + b', "x": ' + b'[{"a":' * deep
    for constant in ("NaN", "Infinity", "-Infinity"):
        yield f"{constant} in a field of it", f'{text[:-1]}, "x": {constant}}}'.encode()


def fields(body: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield the path and the value of every field of a body."""
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for name, value in inner:
        yield (*path, name), value
        yield from fields(value, (*path, name))


def put(body: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """Return a copy of a body with another value at a path."""
    if not path:
        return value
    copy = body.copy()
    copy[path[0]] = put(copy[path[0]], path[1:], value)
    return copy


def spoiled(good: Body) -> Iterator[tuple[str, bytes]]:
    """Yield, by name, bodies with one invalid value."""
    for path, value in fields(good):
        where = ".".join(str(part) for part in path)
        for name, other in NO_VALUES.items():
            yield f"{where}: {name}", json.dumps(put(good, path, other)).encode()
        if isinstance(value, str):
            for name, other in NO_TEXTS.items():
                yield f"{where}: {name}", json.dumps(put(good, path, other)).encode()
        if isinstance(value, int | float):
            for name, written in NO_NUMBERS.items():
                marked = json.dumps(put(good, path, "@here@"))
                yield f"{where}: {name}", marked.replace('"@here@"', written).encode()


def doubled(good: Body) -> tuple[bytes, bytes]:
    """Return a body with its first field twice: the valid value last, and first."""
    name = next(iter(good))
    text, other = json.dumps(good), f"{json.dumps(name)}: null"
    return f"{{{other}, {text[1:]}".encode(), f"{text[:-1]}, {other}}}".encode()


# Requests that are not HTTP or announce a wrong length. Each is followed by the end of the stream.
_POST = b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
REFUSED = {
    "more bytes than were announced": _POST + b"Content-Length: 2\r\n\r\n" + b"{}" * 40,
    "a length below 0": _POST + b"Content-Length: -1\r\n\r\n{}",
    "a length that is none": _POST + b"Content-Length: two\r\n\r\n{}",
    "a length over 64 bits": _POST + b"Content-Length: 99999999999999999999999999\r\n\r\n{}",
    "two lengths": _POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length and chunks": _POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "an unknown coding": _POST + b"Transfer-Encoding: gzip\r\n\r\n{}",
    "a chunk without a size": _POST + b"Transfer-Encoding: chunked\r\n\r\nx\r\n{}\r\n0\r\n\r\n",
    "a NUL in a header": b"GET /ping HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\0b\r\n\r\n",
    "a blank before the colon": b"GET /ping HTTP/1.1\r\nHost : x\r\n\r\n",
    "an unknown method": b"BREW /ping HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown protocol": b"GET /ping HTCPCP/1.0\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40,
    "nonsense": b"\xff\xfe\xfd\r\n\r\n",
    "a tunnel": b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
}
UNANSWERED = {
    "fewer bytes than were announced": _POST + b"Content-Length: 100\r\n\r\n{}",
    "a chunk that ends too early": _POST + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{}",
    "half a header": b"GET /ping HTTP/1.1\r\nHos",
}

"""No framing of a request hides a second one: where two readers could differ, the request is refused and closed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import cast

import pytest

from chassis.config.settings import ServiceSettings
from chassis.http.app import create_app
from chassis.http.protocol import Protocol
from chassis.http.server import Server, http_server
from testkit import eventually

from . import web_app
from .raw_client import POST

HIDDEN = b"GET /v1/things/bodyless HTTP/1.1\r\nHost: x\r\n\r\n"
LENGTH = str(len(HIDDEN)).encode()
BEGIN = b"POST /v1/things/raw/callback HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
# As Java's client sends it with the first request of a connection, and curl with --http2.
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"

# Each hides HIDDEN from a reader that takes the other of two meanings.
AMBIGUOUS = {
    "a length and chunks": b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + HIDDEN,
    "chunks and a length": CHUNKED + b"Content-Length: " + LENGTH + b"\r\n\r\n0\r\n\r\n" + HIDDEN,
    "two lengths": b"Content-Length: 0\r\nContent-Length: " + LENGTH + b"\r\n\r\n" + HIDDEN,
    "two lengths in one field": b"Content-Length: 0, " + LENGTH + b"\r\n\r\n" + HIDDEN,
    "a length with a plus": b"Content-Length: +0\r\n\r\n" + HIDDEN,
    "a negative length": b"Content-Length: -1\r\n\r\n" + HIDDEN,
    "a hexadecimal length": b"Content-Length: 0x0\r\n\r\n" + HIDDEN,
    "a length with an underscore": b"Content-Length: 1_0\r\n\r\n" + HIDDEN,
    "a length of other digits": "Content-Length: \u0660\r\n\r\n".encode() + HIDDEN,
    "a length beyond 64 bits": b"Content-Length: 18446744073709551616\r\n\r\n" + HIDDEN,
    "a length with a fraction": b"Content-Length: 0.0\r\n\r\n" + HIDDEN,
    "a blank length": b"Content-Length: \r\n\r\n" + HIDDEN,
    "a blank before the colon": b"Content-Length : 0\r\n\r\n" + HIDDEN,
    "a length on a folded line": b"Content-Length:\r\n 0\r\n\r\n" + HIDDEN,
    "another coding after chunks": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN,
    "another coding alone": b"Transfer-Encoding: gzip\r\n\r\n" + HIDDEN,
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunks twice": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunks in two fields": CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunks in quotes": b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n' + HIDDEN,
    "chunks behind a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunks with a blank before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunks on a folded line": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a field name with a NUL": b"Transfer-Encoding\x00: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a field without a name": b": x\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + HIDDEN,
    "a bare carriage return in a field": b"X: a\rContent-Length: 0\r\n\r\n" + HIDDEN,
    "a NUL in a field": b"X: a\x00b\r\nContent-Length: 0\r\n\r\n" + HIDDEN,
    "a chunk size in 0x form": CHUNKED + b"\r\n0x0\r\n\r\n" + HIDDEN,
    "a chunk size with a plus": CHUNKED + b"\r\n+0\r\n\r\n" + HIDDEN,
    "a negative chunk size": CHUNKED + b"\r\n-1\r\n\r\n" + HIDDEN,
    "a chunk size beyond 64 bits": CHUNKED + b"\r\n10000000000000000\r\n\r\n" + HIDDEN,
    "a chunk size with an underscore": CHUNKED + b"\r\n0_0\r\n\r\n" + HIDDEN,
    "no chunk size": CHUNKED + b"\r\n\r\n\r\n" + HIDDEN,
    "a chunk longer than its size": CHUNKED + b"\r\n1\r\nab\r\n0\r\n\r\n" + HIDDEN,
    "a chunk that ends without a line": CHUNKED + b"\r\n1\r\na0\r\n\r\n" + HIDDEN,
}


def by_chunks(body: bytes) -> bytes:
    return CHUNKED + b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def by_length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


@asynccontextmanager
async def listening() -> AsyncIterator[Server]:
    """Serve the application as a service does."""
    settings = ServiceSettings().model_copy(update={"http_host": "127.0.0.1", "http_port": 0})
    app = create_app(settings, routers=[web_app.router], ready=web_app.ready())
    server = http_server(settings, app)
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    yield server
    server.should_exit = True
    await task


async def answers(server: Server, *pieces: bytes) -> bytes:
    """Send pieces over a new connection, end the stream and return everything that comes back.

    Each piece is sent when the server has read the one before it and answered what it could.
    """
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
    reading = asyncio.create_task(reader.read())
    read.clear()
    sent = b""

    def is_at_rest() -> bool:
        connections = cast("set[Protocol]", server.server_state.connections)
        return read == sent and all(connection.is_waiting() for connection in connections)

    try:
        for piece in pieces:
            writer.write(piece)
            sent += piece
            await eventually(lambda: is_at_rest() or reading.done(), interval_s=0)
        with suppress(OSError):
            writer.write_eof()
        async with asyncio.timeout(10):
            return await reading
    finally:
        writer.close()


# What the server has read of the newest connection.
read = bytearray()


@pytest.fixture(autouse=True)
def _observed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    take = Protocol.data_received

    def data_received(protocol: Protocol, data: bytes) -> None:
        read.extend(data)
        take(protocol, data)

    monkeypatch.setattr(Protocol, "data_received", data_received)
    web_app.handled.clear()
    yield
    web_app.handled.clear()


async def test_a_framing_with_two_meanings_hides_no_request() -> None:
    async with listening() as server:
        got = {name: await answers(server, BEGIN + sent) for name, sent in AMBIGUOUS.items()}
    assert web_app.handled == []
    refused = {name for name, answer in got.items() if answer.startswith(b"HTTP/1.1 400 ")}
    closed = {name for name, answer in got.items() if b"connection: close" in answer.lower()}
    assert (refused, closed) == (set(AMBIGUOUS), set(AMBIGUOUS))


async def test_a_body_that_looks_like_a_request_is_a_body() -> None:
    async with listening() as server:
        got = [await answers(server, BEGIN + framed(HIDDEN)) for framed in (by_length, by_chunks)]
    assert web_app.handled == []
    assert [answer.count(b"HTTP/1.1 ") for answer in got] == [1, 1]


async def test_two_requests_on_one_connection_are_two_requests() -> None:
    async with listening() as server:
        got = await answers(server, HIDDEN + HIDDEN)
    assert web_app.handled == ["bodyless", "bodyless"]
    assert got.count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize("framed", [by_length, by_chunks])
async def test_an_offer_of_another_protocol_hides_no_request_and_loses_none(framed: Callable[[bytes], bytes]) -> None:
    head, blank, body = framed(HIDDEN).partition(b"\r\n\r\n")
    good = POST + OFFER + framed(b'{"quantity":1,"name":"a"}')
    async with listening() as server:
        hidden = await answers(server, BEGIN + OFFER + head + blank, body)
        assert (web_app.handled, hidden.count(b"HTTP/1.1 ")) == ([], 1)
        for pieces in ([good + HIDDEN], [good[:-40], good[-40:], HIDDEN], [good[:90], good[90:-9], good[-9:] + HIDDEN]):
            web_app.handled.clear()
            whole = await answers(server, *pieces)
            assert (web_app.handled, whole.count(b"HTTP/1.1 200")) == (["post 1", "bodyless"], 2)


async def test_an_offer_on_a_connection_that_is_to_be_closed_is_answered() -> None:
    last = b"GET /v1/things/bodyless HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    async with listening() as server:
        for pieces in ([last], [last[:70], last[70:]], [HIDDEN + last]):
            web_app.handled.clear()
            whole = await answers(server, *pieces)
            assert whole.count(b"HTTP/1.1 200") == len(web_app.handled) == (2 if HIDDEN in pieces[0] else 1)


async def test_a_tunnel_is_refused_and_nothing_behind_it_is_read() -> None:
    tunnel = b"CONNECT / HTTP/1.1\r\nHost: x\r\n" + by_length(HIDDEN)
    async with listening() as server:
        for pieces in ([tunnel], tunnel.partition(HIDDEN)[:2]):
            assert (await answers(server, *pieces)).startswith(b"HTTP/1.1 400 ")
    assert web_app.handled == []

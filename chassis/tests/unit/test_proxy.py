"""The proxy that tests put in front of servers: each mode does what it says, to open connections and to new ones."""

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from testkit import eventually
from testkit.proxy import Proxy

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Echo:
    """A server that answers what it is asked, and remembers it."""

    def __init__(self) -> None:
        self.asked = b""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            self.asked += data
            writer.write(data)
        writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    """Return a running echo server."""
    running = Echo()
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    yield running
    server.close()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[Proxy]:
    """Return a proxy in front of the echo server."""
    async with Proxy("127.0.0.1", echo.port) as made:
        yield made


class Client:
    """One connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, proxy: Proxy) -> "Client":
        return cls(*await asyncio.open_connection(proxy.host, proxy.port))

    async def ask(self, question: bytes = b"hello") -> None:
        self._writer.write(question)
        await self._writer.drain()

    async def answer(self, length: int = 5) -> bytes:
        """Read up to `length` bytes, fewer when the connection ends before; then close."""
        try:
            return await self.read(length)
        finally:
            self._writer.close()

    async def read(self, length: int) -> bytes:
        """Read as `answer` does, and stay connected."""
        try:
            async with asyncio.timeout(5):
                return await self._reader.readexactly(length)
        except asyncio.IncompleteReadError as ended:
            return ended.partial
        except ConnectionResetError:
            return b""


async def test_it_forwards_both_ways_and_ends_with_its_client(proxy: Proxy) -> None:
    client = await Client.connect(proxy)
    await client.ask()
    assert await client.answer() == b"hello"
    await eventually(lambda: proxy.connections == 0)


async def test_refusing_ends_open_connections_refuses_new_ones_and_comes_back_on_the_same_port(proxy: Proxy) -> None:
    client, port = await Client.connect(proxy), proxy.port
    await client.ask()
    await eventually(lambda: proxy.connections == 1)
    await proxy.refuse()
    assert await client.answer(6) in (b"", b"hello")
    with pytest.raises(ConnectionRefusedError):
        await Client.connect(proxy)
    await proxy.restore()
    again = await Client.connect(proxy)
    await again.ask()
    assert (await again.answer(), proxy.port) == (b"hello", port)


async def test_a_black_hole_keeps_everything_back_until_it_is_over(proxy: Proxy, echo: Echo) -> None:
    before = await Client.connect(proxy)
    await eventually(lambda: proxy.connections == 1)
    await proxy.blackhole()
    during = await Client.connect(proxy)
    await before.ask(b"one..")
    await during.ask(b"two..")
    answers = [asyncio.create_task(client.answer()) for client in (before, during)]
    done, _ = await asyncio.wait(answers, timeout=0.2)
    assert (done, echo.asked) == (set(), b"")
    await proxy.restore()
    assert [await answer for answer in answers] == [b"one..", b"two.."]


async def test_a_delay_holds_answers_back_for_that_long(proxy: Proxy, echo: Echo) -> None:
    await proxy.delay(0.3)
    client, begun = await Client.connect(proxy), time.monotonic()
    await client.ask()
    await eventually(lambda: echo.asked == b"hello")
    assert await client.answer() == b"hello"
    assert time.monotonic() - begun >= 0.3


@pytest.mark.parametrize("after", [0, 3, 5])
async def test_a_cut_ends_the_connection_after_so_many_bytes_of_answers_though_the_server_was_asked(
    proxy: Proxy, echo: Echo, after: int
) -> None:
    client = await Client.connect(proxy)
    await client.ask()
    assert await client.read(5) == b"hello"
    await proxy.cut(after)
    await client.ask(b"world")
    assert await client.answer(20) == b"world"[:after]
    assert echo.asked == b"helloworld"


async def test_a_brokers_own_address_in_its_answers_becomes_the_proxys() -> None:
    async def broker(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = b"\0\x09127.0.0.1" + struct.pack(">i", port) + b"the rest"
        framed = struct.pack(">i", len(answer)) + answer
        writer.write(framed[:12])
        await writer.drain()
        writer.write(framed[12:])
        writer.close()

    server = await asyncio.start_server(broker, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Proxy("127.0.0.1", port, kafka=True) as proxy:
        answer = await (await Client.connect(proxy)).answer(100)
    assert answer[4:] == b"\0\x09127.0.0.1" + struct.pack(">i", proxy.port) + b"the rest"
    server.close()


async def test_it_spreads_connections_over_replicas_and_leaves_out_one_that_is_gone(proxy: Proxy, echo: Echo) -> None:
    other = Echo()
    second = await asyncio.start_server(other.serve, "127.0.0.1", 0)
    proxy.share([second.sockets[0].getsockname()[1]])
    for _ in range(4):
        client = await Client.connect(proxy)
        await client.ask()
        assert await client.answer() == b"hello"
    assert (echo.asked, other.asked) == (b"hello" * 2, b"hello" * 2)
    second.close()
    for _ in range(4):
        client = await Client.connect(proxy)
        await client.ask()
        assert await client.answer() == b"hello"
    assert (echo.asked, other.asked) == (b"hello" * 6, b"hello" * 2)

"""A TCP proxy that a test puts in front of a server, to take the server away and give it back without touching it."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, Self

HOST = "127.0.0.1"
CHUNK = 65_536


class _Connection:
    """One client's connection; `answered` counts bytes of answers since the mode was set."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client = client
        self.task = asyncio.current_task()
        self.answered = 0


class Proxy:
    """Forwards to one server on this machine. Each method below sets a mode, which replaces the former one.

        async with Proxy("127.0.0.1", 5432) as proxy:
            database = Database(load(Settings, db_host=proxy.host, db_port=proxy.port))
            await proxy.blackhole()
            await proxy.restore()

    Clients connect to `host` and `port`, or `address`. The port stays the same, and stays reserved, whatever the mode.
    A Kafka client leaves its bootstrap address for the one that the broker advertises. With `kafka=True` the proxy puts
    its own port in the place of `port` in the broker's answers; `host` must then be the advertised host, and local.
    With `tls`, a server's context, clients connect with TLS and the server behind has none.
    With `share` it spreads connections over several replicas of a server, and leaves out those that refuse.
    """

    def __init__(self, host: str, port: int, *, kafka: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self._server = (host, port)
        self._replicas: list[int] = []
        self._turn = 0
        self._kafka = kafka
        self._tls = tls
        self._reserved = _bound(0)
        self.host = host if kafka else HOST
        self.port = int(self._reserved.getsockname()[1])
        self._listening: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._open = asyncio.Event()
        self._delay_s = 0.0
        self._cut_after: int | None = None

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"{self.host}:{self.port}"

    @property
    def connections(self) -> int:
        return len(self._connections)

    async def __aenter__(self) -> Self:
        await self.restore()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End all connections and release the port."""
        await self.refuse()
        self._reserved.close()

    def share(self, ports: Sequence[int]) -> None:
        """Spread new connections over the server and its replicas at these ports of its host."""
        self._replicas = list(ports)

    def move(self, port: int) -> None:
        """Forward new connections to another server of its host, as a name does that was given a new address.

        Open connections stay with the former server.
        """
        self._server = (self._server[0], port)

    async def restore(self) -> None:
        """Forward everything, including the data that `blackhole` has held back."""
        await self._set(is_open=True)

    async def refuse(self) -> None:
        """End all connections and refuse new ones, as when the server's process has died."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        tasks = {connection.task for connection in self._connections if connection.task}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def blackhole(self) -> None:
        """Accept connections and forward nothing, as a frozen server or a broken route does."""
        await self._set(is_open=False)

    async def delay(self, seconds: float) -> None:
        """Delay each chunk of an answer by `seconds`."""
        await self._set(is_open=True, delay_s=seconds)

    async def cut(self, after_bytes: int) -> None:
        """End each connection after `after_bytes` bytes of its answers; with 0 the server acts without an answer."""
        await self._set(is_open=True, cut_after=after_bytes)

    async def _set(self, *, is_open: bool, delay_s: float = 0.0, cut_after: int | None = None) -> None:
        self._delay_s, self._cut_after = delay_s, cut_after
        for connection in self._connections:
            connection.answered = 0
        (self._open.set if is_open else self._open.clear)()
        if self._listening is None:
            self._listening = await asyncio.start_server(self._serve, sock=_bound(self.port), ssl=self._tls)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writer)
        self._connections.add(connection)
        server: asyncio.StreamWriter | None = None
        try:
            await self._open.wait()
            answers, server = await self._connected()
            await _first(self._ask(reader, server), self._answer(answers, connection))
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._connections.discard(connection)
            for end in filter(None, (writer, server)):
                end.close()
                with suppress(OSError):
                    await end.wait_closed()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._server
        ports = [port, *self._replicas]
        self._turn += 1
        for number in range(len(ports) - 1):
            with suppress(OSError):
                return await asyncio.open_connection(host, ports[(self._turn + number) % len(ports)])
        return await asyncio.open_connection(host, ports[(self._turn - 1) % len(ports)])

    async def _ask(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            await self._open.wait()
            server.write(data)
            await server.drain()

    async def _answer(self, answers: asyncio.StreamReader, connection: _Connection) -> None:
        while data := await self._read(answers):
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            await self._open.wait()
            if self._cut_after is not None:
                data = data[: self._cut_after - connection.answered]
            connection.client.write(data)
            await connection.client.drain()
            connection.answered += len(data)
            if connection.answered == self._cut_after:
                return

    async def _read(self, answers: asyncio.StreamReader) -> bytes:
        if not self._kafka:
            return await answers.read(CHUNK)
        try:
            size = await answers.readexactly(4)
            answer = size + await answers.readexactly(int.from_bytes(size))
        except asyncio.IncompleteReadError as ended:
            return ended.partial
        host, port = self._server
        return answer.replace(_endpoint(host, port), _endpoint(host, self.port))


def _endpoint(host: str, port: int) -> bytes:
    """Return the address of a broker as Kafka's protocol encodes it."""
    return host.encode() + struct.pack(">i", port)


def _bound(port: int) -> socket.socket:
    """Bind a port without listening: it refuses connections, and the system gives it to no other process."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, port))
    return bound


async def _first(*works: Coroutine[Any, Any, None]) -> None:
    """Run coroutines until the first one ends, then end the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

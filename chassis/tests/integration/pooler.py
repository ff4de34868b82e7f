"""A stand-in for pgbouncer in transaction mode: all clients share one session of the server."""

import asyncio
from typing import Self

_AUTHENTICATED = b"R\x00\x00\x00\x08\x00\x00\x00\x00"
_IDLE = b"Z\x00\x00\x00\x05I"
_TERMINATE = b"X"


class TransactionPooler:
    """Passes the first client's log-in on to the server, and lets later clients use the same session.

    A client has the session from its first message until the server says that no transaction is open.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._session: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._greeting = b""
        self._turn = asyncio.Lock()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.close()
        if self._session is not None:
            self._session[1].close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._log_in(reader, writer)
            while (message := await _message(reader))[:1] != _TERMINATE:
                async with self._turn:
                    await self._use_session(message, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _log_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        startup = await _untyped(reader)
        while len(startup) == 8:
            writer.write(b"N")
            startup = await _untyped(reader)
        async with self._turn:
            if self._session is None:
                self._session = await asyncio.open_connection(*self._server)
                self._session[1].write(startup)
                await self._pass_log_in_on(reader, writer)
            else:
                writer.write(_AUTHENTICATED + self._greeting)

    async def _pass_log_in_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._session is not None
        server, to_server = self._session
        authenticated = False
        while (answer := await _message(server)) != _IDLE:
            writer.write(answer)
            if authenticated:
                self._greeting += answer
            elif answer == _AUTHENTICATED:
                authenticated = True
            elif int.from_bytes(answer[5:9]) in (10, 11):
                to_server.write(await _message(reader))
        writer.write(_IDLE)
        self._greeting += _IDLE

    async def _use_session(self, message: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._session is not None
        server, to_server = self._session
        to_server.write(message)
        forwarding = asyncio.create_task(_forward(reader, to_server))
        while (answer := await _message(server)) != _IDLE:
            writer.write(answer)
        forwarding.cancel()
        await asyncio.gather(forwarding, return_exceptions=True)
        writer.write(_IDLE)


async def _forward(reader: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
    while True:
        to_server.write(await _message(reader))


async def _untyped(reader: asyncio.StreamReader) -> bytes:
    length = await reader.readexactly(4)
    return length + await reader.readexactly(int.from_bytes(length) - 4)


async def _message(reader: asyncio.StreamReader) -> bytes:
    kind = await reader.readexactly(1)
    return kind + await _untyped(reader)

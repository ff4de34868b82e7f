"""Readiness of all processes of a service: a probe reaches any one of them, which asks the others."""

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping

import structlog

log = structlog.get_logger(__name__)

TIMEOUT_S = 2.0
MAX_QUESTION_BYTES = 64
_CREDENTIALS = struct.Struct("3i")

Answer = Callable[[], Awaitable[bytes]]


class NotReady(Exception):
    """Another process of this service says that it is not ready."""


class Peer:
    """Another process of this service, reached at its unix socket."""

    def __init__(self, name: str, address: str | bytes) -> None:
        self.name = name
        self.overloaded = False
        self._address = address

    async def check(self) -> None:
        """Raise NotReady when it says so, OSError or TimeoutError when it does not answer."""
        status = await self.ask(b"ready")
        self.overloaded = status == b"overloaded"
        if status not in (b"ready", b"overloaded"):
            raise NotReady

    async def ask(self, question: bytes) -> bytes:
        """Return its answer. Raises OSError or TimeoutError when there is none within 2 s."""
        async with asyncio.timeout(TIMEOUT_S):
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.setblocking(False)
                await asyncio.get_running_loop().sock_connect(connection, self._address)
                reader, writer = await asyncio.open_unix_connection(sock=connection)
            except BaseException:
                connection.close()
                raise
            try:
                writer.write(question + b"\n")
                answer = await reader.read()
            finally:
                writer.close()
        if not answer:
            raise ConnectionResetError(f"{self.name} gave no answer")
        return answer


class Control:
    """Answers the questions of the other processes until it is stopped."""

    name = "control"

    def __init__(self, listener: socket.socket, answers: Mapping[bytes, Answer]) -> None:
        self._listener = listener
        self._answers = answers

    async def run(self, stop: asyncio.Event) -> None:
        server = await asyncio.start_unix_server(self._answer, sock=self._listener, limit=MAX_QUESTION_BYTES)
        await stop.wait()
        server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not _is_ours(writer.get_extra_info("socket")):
                return
            async with asyncio.timeout(TIMEOUT_S):
                if answer := self._answers.get((await reader.readline()).strip()):
                    writer.write(await answer())
                    await writer.drain()
        except (OSError, ValueError, TimeoutError) as error:
            log.warning("another process got no answer", error=f"{type(error).__name__}: {error}")
        finally:
            writer.close()


def listen() -> socket.socket:
    """Open a socket with an address of its own, which is no file: it ends with the last process that has it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")
    listener.listen()
    return listener


def _is_ours(connection: socket.socket) -> bool:
    """Say whether a process of the same user asks: these addresses have no permissions."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(data)[1] == os.geteuid())

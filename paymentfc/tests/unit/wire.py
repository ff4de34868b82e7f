"""A server that records what comes in on its connections, and does as it is told."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from .gateway import INVOICE

BODY = json.dumps({**INVOICE, "id": "a"}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)
# Ends a connection after the request, without an answer.
CLOSE = b""


@dataclass
class Wire:
    """`answers` are sent in order, and afterwards ANSWER. Names are lower case in `requests`' headers."""

    answers: list[bytes] = field(default_factory=list)
    close_after_answer: bool = False
    hold: asyncio.Event | None = None
    port: int = 0
    connections: int = 0
    open: int = 0
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[str]:
        return [line for line, _, _ in self.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._answered(reader, writer):
                pass
        writer.close()
        self.open -= 1

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        pairs = (one.split(": ", 1) for one in fields)
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append((line, headers, body))
        if self.hold:
            await self.hold.wait()
        answer = self.answers.pop(0) if self.answers else ANSWER
        writer.write(answer)
        await writer.drain()
        return answer != CLOSE and not self.close_after_answer


@asynccontextmanager
async def wire(
    tls: ssl.SSLContext | None = None, change: Callable[[Wire], None] = lambda _: None
) -> AsyncIterator[Wire]:
    served = Wire()
    change(served)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    async with server:
        yield served

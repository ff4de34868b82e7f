"""A server that answers the shared connection of the reads as a test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from chassis.redis.client import TIMEOUT_S
from chassis.redis.reads import Address, RedisReads

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def fake(serve: Serve) -> AsyncIterator[RedisReads]:
    """Reads from a server that answers as `serve` says, after the connection has its name."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await command(reader)
        writer.write(b"+OK\r\n")
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    reads = RedisReads(Address("127.0.0.1", listening.sockets[0].getsockname()[1], None, None, "t"), TIMEOUT_S)
    try:
        yield reads
    finally:
        await reads.close()
        listening.close()


async def command(reader: asyncio.StreamReader) -> list[bytes]:
    count = int((await reader.readuntil(b"\r\n"))[1:])
    parts = []
    for _ in range(count):
        size = int((await reader.readuntil(b"\r\n"))[1:])
        parts.append((await reader.readexactly(size + 2))[:-2])
    return parts


def value_of(parts: list[bytes]) -> bytes:
    """Return the answer to MGET: the keys themselves."""
    keys = parts[1:]
    return b"*%d\r\n" % len(keys) + b"".join(b"$%d\r\n%s\r\n" % (len(key), key) for key in keys)


async def ask_apart(reads: RedisReads, keys: list[str]) -> list["asyncio.Task[list[bytes | None]]"]:
    """Ask for each key in turns of the event loop of its own, so that each is a command."""
    asked = []
    for key in keys:
        asked.append(asyncio.create_task(reads.mget(key)))
        for _ in range(3):
            await asyncio.sleep(0)
    return asked

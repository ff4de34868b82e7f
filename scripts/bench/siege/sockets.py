"""Attacks below HTTP: half a body, headers without end, connections that say nothing."""

import asyncio
from collections import Counter
from contextlib import suppress

from bench.siege.target import Target

HALF_SENT, IDLE, HELD_S = 64, 64, 30.0
ENDLESS_BYTES = 64 << 20
CHUNK = b"a" * 65_536
BODY = b'{"email":"a@example.com","password":"'
POSTS = {
    "userfc": "/v1/login",
    "productfc": "/v1/products/1",
    "orderfc": "/v1/orders/checkout",
    "paymentfc": "/v1/payments/xendit/webhook",
}


async def half_sent_bodies(target: Target, source: str, seen: Counter[str]) -> None:
    """Open requests of each service that promise more than they send, chunked ones too, and hold them."""
    async with asyncio.TaskGroup() as group:
        for service, path in POSTS.items():
            for number in range(HALF_SENT):
                length = "Transfer-Encoding: chunked" if number % 2 else "Content-Length: 4096"
                start = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{length}\r\n\r\n"
                body = b"1000\r\n" + BODY if number % 2 else BODY
                group.create_task(_hold(target, service, source, start.encode() + body, seen))


async def idle_sockets(target: Target, source: str, seen: Counter[str]) -> None:
    """Hold connections that send nothing, and such that stop within their head."""
    async with asyncio.TaskGroup() as group:
        for service in POSTS:
            for number in range(IDLE):
                start = b"GET /ping HTTP/1.1\r\nHost: x\r\nX-Slow: " if number % 2 else b""
                group.create_task(_hold(target, service, source, start, seen))


async def endless_headers(target: Target, source: str, seen: Counter[str]) -> None:
    """Send one header of 64 MiB to each service, and 64 MiB of small headers."""
    for service in POSTS:
        for filler in (CHUNK, b"X-Much: 1\r\n" * 6000):
            with suppress(OSError):
                await _endless(target, service, source, filler, seen)


async def _endless(target: Target, service: str, source: str, filler: bytes, seen: Counter[str]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", target.ports[service], local_addr=(source, 0))
    try:
        writer.write(b"GET /ping HTTP/1.1\r\nHost: x\r\nX-Long: ")
        sent = 0
        while sent < ENDLESS_BYTES and not reader.at_eof():
            writer.write(filler)
            sent += len(filler)
            async with asyncio.timeout(5):
                await writer.drain()
        seen["accepted whole" if sent >= ENDLESS_BYTES else "closed"] += 1
    except (OSError, TimeoutError):
        seen["closed"] += 1
    finally:
        writer.close()


async def _hold(target: Target, service: str, source: str, start: bytes, seen: Counter[str]) -> None:
    """Send the start and wait for the end of the connection, at most HELD_S seconds."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.ports[service], local_addr=(source, 0))
    except OSError:
        seen["not connected"] += 1
        return
    try:
        writer.write(start)
        async with asyncio.timeout(HELD_S):
            answer = await reader.read(12)
            seen[answer[9:12].decode("latin-1") or "closed"] += 1
    except TimeoutError:
        seen[f"open after {HELD_S:g} s"] += 1
    except OSError:
        seen["closed"] += 1
    finally:
        writer.close()

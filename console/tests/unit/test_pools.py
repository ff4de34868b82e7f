"""Connections to the services: what hangs takes none from the rest."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chassis.config.settings import load
from console.app import SERVICE
from console.client.admin_api import AdminApi
from console.client.userfc import log_in
from console.config import Settings
from testkit import free_port

# More requests to a service that hangs than a pool of the library has connections.
MANY = 150
BODY = b'{"token": "t", "status": "ready"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Service:
    """Takes requests; one that hangs answers none of them."""

    def __init__(self, *, hangs: bool) -> None:
        self.hangs = hangs
        self.taken = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        self.taken += 1
        if not self.hangs:
            writer.write(ANSWER)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=2 * MANY)
        host, port = server.sockets[0].getsockname()
        try:
            yield f"http://{host}:{port}"
        finally:
            for writer in self.writers:
                writer.close()
            server.close()


async def test_a_service_that_hangs_makes_no_other_one_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.client.admin_api.TIMEOUT_S", 20.0)
    slow = Service(hangs=True)
    async with slow.open() as hanging, Service(hangs=False).open() as healthy:
        settings = load(Settings, environment="development", redis_port=free_port(), user_host=healthy)
        process = await SERVICE.open(settings, workers=True)
        state = process.app.state
        api = AdminApi(state.http, {"orderfc": hanging, "userfc": healthy}, "token")
        held = [asyncio.create_task(api.order(number)) for number in range(MANY)]
        try:
            async with asyncio.timeout(15):
                while slow.taken < MANY:
                    await asyncio.sleep(0.01)
            async with asyncio.timeout(2):
                assert await api.get("userfc", "process") is not None
                assert await log_in(state.log_in_http, healthy, "127.0.0.1", "a", "b") == "t"
        finally:
            for task in held:
                task.cancel()
            await asyncio.gather(*held, return_exceptions=True)
            for close in process.close:
                await close()


async def test_pages_log_in_and_watch_have_a_pool_each() -> None:
    process = await SERVICE.open(load(Settings, environment="development", redis_port=free_port()), workers=True)
    state = process.app.state
    pools = {id(each) for each in (state.http, state.log_in_http, state.watch._http)}
    for close in process.close:
        await close()
    assert len(pools) == 3
    assert all(each.is_closed for each in (state.http, state.log_in_http, state.watch._http))

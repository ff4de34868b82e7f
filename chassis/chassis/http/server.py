"""uvicorn as this platform runs it: bounds on every connection, and a stop that loses no request."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from typing import cast

import uvicorn
from fastapi import FastAPI

from chassis.config.settings import ProcessSettings
from chassis.http.protocol import Protocol
from chassis.loops import wait_any

# Share of the time to stop that requests under way may take.
HTTP_SHARE = 0.6
# How long idle connections may still bring a request before they are closed.
LINGER_S = 0.5
LINGER_TICKS = 25
# uvicorn ticks ten times a second, to notice a stop; here the stop ends the wait.
TICK_S = 1.0


class Server(uvicorn.Server):
    """uvicorn with a stop that loses no request. The supervisor stops it, not a signal.

    uvicorn closes its listener although the kernel holds connections that were not accepted yet, and closes idle
    connections on which a request may be arriving. Both would lose requests (ADR 10).
    """

    def __init__(self, config: uvicorn.Config, listeners: Sequence[socket.socket] | None = None) -> None:
        self._stopping = asyncio.Event()
        self._listeners = None if listeners is None else list(listeners)
        super().__init__(config)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await super().serve(sockets or self._listeners)

    @property
    def should_exit(self) -> bool:
        return self._stopping.is_set()

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        if value:
            self._stopping.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            await wait_any(TICK_S, self._stopping)

    async def on_tick(self, counter: int) -> bool:
        """Look once a second at how long each connection has been waiting, and renew the date header."""
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            cast("Protocol", connection).sweep(now)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept the connections of before the stop, and close each connection with its next answer."""
        loop = asyncio.get_running_loop()
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        for connection in _close_listeners(self.servers):
            await loop.connect_accepted_socket(self._protocol, connection)
        for _ in range(LINGER_TICKS):
            if self.server_state.connections:
                await asyncio.sleep(LINGER_S / LINGER_TICKS)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        return Protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def _close_listeners(servers: Sequence[asyncio.Server]) -> list[socket.socket]:
    """Close the listeners and return the connections in their queues that were not accepted yet."""
    listeners = [socket.socket(fileno=os.dup(each.fileno())) for server in servers for each in server.sockets]
    for server in servers:
        server.close()
    connections = []
    for listener in listeners:
        # The servers' descriptors are closed; this duplicate keeps the queue open.
        with listener, contextlib.suppress(OSError):
            listener.setblocking(False)
            while True:
                connections.append(listener.accept()[0])
    return connections


def http_server(
    settings: ProcessSettings,
    app: FastAPI,
    port: int | None = None,
    listeners: Sequence[socket.socket] | None = None,
) -> Server:
    """Make the server of an application, not yet started: on HTTP_PORT, another port, or sockets that are bound."""
    config = uvicorn.Config(
        app,
        host=settings.http_host,
        port=port or settings.http_port,
        http=Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        # Else a pipelined request begins in the context of the one before it, with its trace and its log fields.
        reset_contextvars=True,
        lifespan="on",
        timeout_graceful_shutdown=max(1, int(settings.shutdown_timeout_s * HTTP_SHARE)),
        server_header=False,
        # X-Forwarded-For counts for TRUSTED_PROXIES only, not for every process on this machine.
        proxy_headers=False,
    )
    return Server(config, listeners)

"""Serves an ASGI application of a test over real HTTP."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal

import uvicorn

from testkit import eventually


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which would replace pytest's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: Any, port: int = 0, lifespan: Literal["auto", "on", "off"] = "auto") -> AsyncIterator[str]:
    """Serve an application, on a free port unless one is given. Yields its address."""
    server = _Server(
        uvicorn.Config(app, port=port, log_config=None, lifespan=lifespan, timeout_graceful_shutdown=1, ws="none")
    )
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started or task.done())
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task

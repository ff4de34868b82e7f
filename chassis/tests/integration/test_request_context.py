"""A request finds nothing of what the request before it on its connection has put into the context."""

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar

import httpx2
import pytest
from opentelemetry import trace

from chassis.config.settings import ServiceSettings
from chassis.http.app import create_app
from chassis.http.probes import Readiness
from chassis.http.routing import Router
from chassis.http.server import http_server
from testkit import eventually

from .raw_client import Raw

LEAVE = b"GET /v1/context/leave HTTP/1.1\r\nHost: x\r\n\r\n"
FIND = b"GET /v1/context/find HTTP/1.1\r\nHost: x\r\n\r\n"
READY = b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

_left: ContextVar[str] = ContextVar("left", default="nothing")
_traces: list[int] = []
router = Router(prefix="/v1/context")


@router.get("/leave")
async def leave() -> str:
    """Leave something in the context."""
    _left.set("something")
    return _left.get()


@router.get("/find")
async def find() -> str:
    """Say what is in the context."""
    return _left.get()


async def _database() -> None:
    _traces.append(trace.get_current_span().get_span_context().trace_id)


@pytest.fixture
async def connection() -> AsyncIterator[Raw]:
    """Give a connection to a server with the routes above, and a check that records the trace it runs in."""
    settings = ServiceSettings().model_copy(update={"http_host": "127.0.0.1", "http_port": 0})
    ready = Readiness()
    ready.add("database", _database, critical=True)
    server = http_server(settings, create_app(settings, routers=[router], ready=ready))
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    host, port = server.servers[0].sockets[0].getsockname()
    _traces.clear()
    yield await Raw.connect(httpx2.URL(f"http://{host}:{port}"))
    server.should_exit = True
    await task


async def test_requests_that_were_sent_together_have_contexts_of_their_own(connection: Raw) -> None:
    await connection.send(LEAVE + FIND + READY)
    answers = await connection.rest()
    assert answers.count(b" 200 OK\r\n") == 3
    assert answers.count(b'"something"') == answers.count(b'"nothing"') == 1
    assert _traces == [0], "a probe is in no trace, whatever was asked before it"


async def test_requests_that_follow_each_other_have_contexts_of_their_own(connection: Raw) -> None:
    await connection.send(LEAVE)
    await connection.until(b'"something"')
    await connection.send(FIND)
    await connection.until(b'"nothing"')
    await connection.send(READY)
    await connection.rest()
    assert _traces == [0]

"""A shortcut answers as its route does, and leaves to the route what it does not know."""

from typing import Any

import httpx2
import pytest
import structlog
from fastapi import Response
from prometheus_client import REGISTRY

from chassis.config.settings import ServiceSettings
from chassis.errors import NotFound, Unavailable
from chassis.http.app import create_app
from chassis.http.routing import Router
from chassis.http.shortcuts import number
from chassis.ids import PathId

KNOWN = b'{"id":7}'
asked: list[str] = []
router = Router(prefix="/v1/things")


@router.get("/fixed")
async def fixed() -> str:
    """Answer at an address that is no id."""
    return "fixed"


@router.get("/{thing_id}")
async def read(thing_id: PathId) -> Response:
    """Read a thing."""
    asked.append("route")
    if thing_id == 9:
        raise ConnectionResetError("10.1.2.3 is gone")
    if thing_id == 6:
        raise Unavailable("too many at once", retry_after=1)
    if thing_id != 7:
        raise NotFound("no such thing")
    return Response(KNOWN, media_type="application/json")


@router.put("/{thing_id}")
async def change(thing_id: PathId) -> str:
    """Change a thing."""
    return f"changed {thing_id}"


async def answer(parameter: str, query: bytes) -> bytes | None:
    asked.append("shortcut")
    if number(parameter) == 9:
        raise ConnectionResetError("10.1.2.3 is gone")
    if number(parameter) == 6:
        raise Unavailable("too many at once", retry_after=1)
    return KNOWN if number(parameter) == 7 and not query else None


def count(status: int) -> float:
    labels = {
        "http_request_method": "GET",
        "http_route": "/v1/things/{thing_id}",
        "http_response_status_code": str(status),
        "error_type": str(status) if status >= 500 else "",
    }
    return REGISTRY.get_sample_value("http_server_request_duration_seconds_count", labels) or 0


async def exchange(method: str, path: str, *, shortcut: bool, **request: Any) -> tuple[Any, ...]:
    """Return all that a request leaves: answer, log lines and metric."""
    app = create_app(ServiceSettings(), routers=[router])
    if shortcut:
        app.state.shortcuts.add({"/v1/things/{thing_id}": answer})
    before = {status: count(status) for status in (200, 400, 404, 503)}
    asked.clear()
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://t") as client:
        with structlog.testing.capture_logs() as lines:
            got = await client.request(
                method, path, headers={"x-request-id": "r"} | request.pop("headers", {}), **request
            )
    for line in lines:
        line.pop("duration_ms", None)
        line.pop("span_id", None)
        line.pop("trace_id", None)
    counted = {status: count(status) - before[status] for status in before}
    return got.status_code, got.content, sorted(got.headers.items()), lines, counted


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("path", "by"),
    [
        ("/v1/things/7", ["shortcut"]),
        ("/v1/things/007", ["shortcut"]),
        ("/v1/things/9", ["shortcut"]),
        ("/v1/things/6", ["shortcut"]),
        ("/v1/things/8", ["shortcut", "route"]),
        ("/v1/things/7?x=1", ["shortcut", "route"]),
        ("/v1/things/7?x=1&x=2", ["shortcut"]),
        ("/v1/things/0", ["shortcut"]),
        ("/v1/things/-7", ["shortcut"]),
        ("/v1/things/+7", ["shortcut"]),
        ("/v1/things/%D9%A7", ["shortcut"]),
        ("/v1/things/" + "7" * 19, ["shortcut", "route"]),
        ("/v1/things/" + "7" * 30, ["shortcut"]),
        ("/v1/things/fixed", ["shortcut"]),
        ("/v1/things/7/", []),
        ("/v1/things", []),
        ("/v1/things/", ["shortcut"]),
    ],
)
async def test_an_answer_is_that_of_the_route_with_all_that_it_leaves(method: str, path: str, by: list[str]) -> None:
    for headers in ({}, {"authorization": "Bearer x"}):
        plain = await exchange(method, path, shortcut=False, headers=headers)
        short = await exchange(method, path, shortcut=True, headers=headers)
        assert short == plain
        assert asked == by


async def test_a_shortcut_is_for_get_without_a_body_only() -> None:
    assert (await exchange("PUT", "/v1/things/7", shortcut=True))[1] == b'"changed 7"'
    assert asked == []
    plain = await exchange("GET", "/v1/things/7", shortcut=False, json={"a": 1})
    assert await exchange("GET", "/v1/things/7", shortcut=True, json={"a": 1}) == plain
    assert asked == ["route"]


async def test_ping_is_the_route_of_the_document() -> None:
    app = create_app(ServiceSettings(), routers=[router])
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://t") as client:
        short = await client.get("/ping")
        by_route = await client.request("GET", "/ping", json={})
    assert short.content == by_route.content == b'{"message":"pong"}'
    assert "/ping" in app.openapi()["paths"]

"""A route answers the usual request directly, leaves others to FastAPI, and refuses and repeats as it always does."""

import asyncpg
import httpx2
import pytest
from fastapi import Request, Response
from pydantic import BaseModel

from chassis.config.settings import ServiceSettings
from chassis.errors import NotFound
from chassis.http.app import create_app
from chassis.http.routing import Router, accepts

router = Router(prefix="/v1/things")
asked: list[str] = []


class Thing(BaseModel):
    """A thing."""

    name: str


async def _usual(request: Request) -> Response | None:
    asked.append("direct")
    name = (await request.json())["name"]
    if name == "altered" and len(asked) == 1:
        raise asyncpg.InvalidCachedStatementError("cached plan must not change result type")
    if name == "missing":
        raise NotFound("no such thing")
    return Response("direct") if name in ("usual", "altered") else None


@router.post("/")
@accepts(max_body=1024, direct=_usual)
async def post(thing: Thing) -> Response:
    """Take a thing."""
    asked.append("route")
    return Response(f"route {thing.name}")


@pytest.mark.parametrize(
    ("name", "status", "text", "ways"),
    [
        ("usual", 200, "direct", ["direct"]),
        ("other", 200, "route other", ["direct", "route"]),
        (7, 400, "", ["direct"]),
        ("missing", 404, "", ["direct"]),
        ("a" * 2000, 413, "", []),
        ("altered", 200, "direct", ["direct", "direct"]),
    ],
)
async def test_a_route_with_a_direct_way(name: object, status: int, text: str, ways: list[str]) -> None:
    asked.clear()
    transport = httpx2.ASGITransport(app=create_app(ServiceSettings(), routers=[router]))
    async with httpx2.AsyncClient(transport=transport, base_url="http://things") as client:
        answer = await client.post("/v1/things/", json={"name": name})
    assert (answer.status_code, asked) == (status, ways)
    assert answer.text == text if status == 200 else set(answer.json()) == {"error", "code", "request_id"}

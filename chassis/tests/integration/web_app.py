"""An application with one route for each rule of the HTTP frame, served by a real uvicorn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from fastapi import Request, Response
from opentelemetry import trace
from pydantic import BaseModel

from chassis.auth.tokens import AdminUser, CurrentUser, TokenVerifier
from chassis.config.settings import ServiceSettings
from chassis.errors import Conflict, RateLimited, Unavailable
from chassis.http.app import create_app
from chassis.http.body import KIB
from chassis.http.probes import Readiness
from chassis.http.routing import Router, accepts
from chassis.http.server import http_server
from chassis.ids import PositiveId, TrimmedText
from testkit import eventually, free_port

SECRET = "s" * 32

router = Router(prefix="/v1/things")
handled: list[str] = []


class Thing(BaseModel):
    """A body."""

    quantity: PositiveId
    name: TrimmedText


async def _refuse(request: Request) -> None:
    if request.headers.get("x-refuse"):
        raise RateLimited("Too often")


@router.post("/small")
@accepts(max_body=8 * KIB, before=_refuse)
async def small(thing: Thing) -> Thing:
    """Echo what is small."""
    handled.append("small")
    return thing


@router.post("/form")
@accepts(form=True)
async def form(request: Request) -> str:
    """Echo the text of an HTML form."""
    return (await request.body()).decode()


@router.get("/large")
async def large() -> Response:
    """Answer with a MiB."""
    return Response(b" " * 1024 * 1024)


@router.post("/{thing_id}")
async def post(thing_id: PositiveId, thing: Thing) -> Thing:
    """Echo."""
    handled.append(f"post {thing_id}")
    return thing


@router.get("/bodyless")
async def bodyless() -> str:
    """Read no body."""
    handled.append("bodyless")
    return "ok"


@router.get("/broken")
async def broken() -> int:
    """Fail with a text that must not be shown."""
    raise RuntimeError("SELECT password FROM users")


@router.get("/down")
async def down() -> int:
    """Fail as a lost connection does."""
    raise ConnectionResetError("10.1.2.3 is gone")


@router.get("/refused")
async def refused() -> int:
    """Refuse."""
    raise Conflict("They clash", code="clash")


@router.get("/later")
async def later() -> int:
    """Be unavailable."""
    raise Unavailable("Not now", retry_after=7)


@router.get("/trace")
async def traced() -> str:
    """Return the trace id."""
    return f"{trace.get_current_span().get_span_context().trace_id:032x}"


@router.get("/mine")
async def mine(user: CurrentUser) -> int:
    """Need a user."""
    return user.user_id


@router.get("/all")
async def everything(user: AdminUser) -> int:
    """Need an administrator."""
    return user.user_id


@router.post("/raw/callback")
async def callback(request: Request) -> str:
    """Refuse before the body is looked at, as a webhook does."""
    if request.headers.get("x-callback-token") != "right":
        raise Conflict("wrong token", code="clash")
    await request.body()
    return "ok"


@dataclass
class Switch:
    """The results of the readiness checks."""

    database: Exception | None = None
    kafka: Exception | None = None
    migrations: Exception | None = None
    checked: int = 0


SWITCH = Switch()


def ready() -> Readiness:
    """Return checks whose results SWITCH sets; the one of Redis never ends."""

    async def database() -> None:
        SWITCH.checked += 1
        if SWITCH.database:
            raise SWITCH.database

    async def kafka() -> None:
        if SWITCH.kafka:
            raise SWITCH.kafka

    async def migrations() -> None:
        if SWITCH.migrations:
            raise SWITCH.migrations

    result = Readiness(migrations)
    result.add("database", database, critical=True)
    result.add("kafka", kafka, critical=False)
    result.add("redis", asyncio.Event().wait, critical=False)
    return result


@asynccontextmanager
async def serving(**overrides: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve the application for the block and return a client."""
    settings = ServiceSettings(http_host="127.0.0.1", http_port=free_port(), **overrides)
    app = create_app(settings, routers=[router], ready=ready())
    app.state.verifier = TokenVerifier(SECRET)
    server = http_server(settings, app)
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{settings.http_port}") as client:
        yield client
    server.should_exit = True
    await task


def error(answer: httpx2.Response, status: int, code: str) -> str:
    """Check the shape of an error and return its sentence."""
    assert answer.status_code == status, answer.text
    body: dict[str, str] = answer.json()
    assert set(body) == {"error", "code", "request_id"}
    assert body["code"] == code
    assert body["request_id"] == answer.headers["x-request-id"]
    return body["error"]

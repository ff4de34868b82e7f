"""What strangers see: documents where they are asked for, details on the management's port, headers on everything."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import Response

from chassis.config.declare import declaration
from chassis.config.settings import ServiceSettings, load
from chassis.http.app import create_app
from chassis.http.probes import Readiness
from chassis.http.routing import Router
from chassis.service import Process, _supervise
from testkit import eventually, free_port

router = Router()
PAGES = ("/docs", "/openapi.json", "/docs/assets/swagger-ui.css")


@router.get("/v1/thing")
async def thing() -> Response:
    """Answer without a caller."""
    return Response(b"1")


@router.post("/v1/thing")
async def made() -> Response:
    """Answer a change."""
    return Response(b"2")


@asynccontextmanager
async def serving(**overrides: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Run the parts of a service that answer HTTP, and return a client of the public port."""
    settings = load(ServiceSettings, http_host="127.0.0.1", http_port=free_port(), shutdown_timeout_s=5, **overrides)
    app, stop = create_app(settings, routers=[router], ready=Readiness()), asyncio.Event()
    supervised = asyncio.create_task(_supervise(settings, Process(app), stop))
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{settings.http_port}") as client:

        async def answers() -> bool:
            try:
                return bool((await client.get("/ping")).status_code == 200)
            except httpx2.TransportError:
                return False

        await eventually(answers)
        yield client
    stop.set()
    assert await asyncio.wait_for(supervised, 10)


async def test_documents_are_served_only_where_they_are_asked_for() -> None:
    for exposed, status in ((True, 200), (False, 404)):
        async with serving(expose_docs=exposed) as client:
            assert {(await client.get(page)).status_code for page in PAGES} == {status}
    field = ServiceSettings.model_fields["expose_docs"]
    assert (field.default, declaration(field).dev) == (False, True)


async def test_metrics_and_the_details_of_ready_move_to_the_port_of_the_management() -> None:
    async with serving(management_port=(port := free_port())) as client:
        assert (await client.get("/metrics")).status_code == 404
        assert (await client.get("/ready")).json() == {"status": "ready"}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as inside:
            assert "http_server_request_duration_seconds" in (await inside.get("/metrics")).text
            assert (await inside.get("/ready")).json() == {"status": "ready", "checks": {}, "migrations": "ok"}
            assert (await inside.get("/health")).status_code == 200
            assert {(await inside.get(path)).status_code for path in ("/v1/thing", *PAGES)} == {404}


async def test_without_a_port_of_its_own_the_management_shares_the_public_one() -> None:
    async with serving() as client:
        assert "http_server_request_duration_seconds" in (await client.get("/metrics")).text
        assert (await client.get("/ready")).json()["checks"] == {}


async def test_metrics_are_open_metrics_for_whoever_accepts_them() -> None:
    # As Prometheus asks.
    accepted = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
    async with serving() as client:
        await client.get("/v1/thing")
        plain, exact = await client.get("/metrics"), await client.get("/metrics", headers={"accept": accepted})
    assert plain.headers["content-type"].startswith("text/plain; version=")
    assert exact.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert (plain.text.endswith("# EOF\n"), exact.text.endswith("# EOF\n")) == (False, True)
    assert "http_server_request_duration_seconds_count" in exact.text


async def test_every_answer_says_nosniff_and_what_may_be_personal_is_not_stored() -> None:
    async with serving() as client:
        token = {"authorization": "Bearer x"}
        for method, path, headers, stored in (
            ("GET", "/v1/thing", {}, True),
            ("GET", "/v1/thing", token, False),
            ("POST", "/v1/thing", {}, False),
            ("GET", "/nothing", token, False),
            ("DELETE", "/v1/thing", {}, False),
            ("GET", "/docs", {}, True),
            ("GET", "/docs/assets/swagger-ui.css", {}, True),
            ("GET", "/" + "x" * 9000, {}, False),
        ):
            answer = await client.request(method, path, headers=headers)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert (answer.headers.get("cache-control") != "no-store") is stored, (method, path)


async def test_html_comes_with_a_policy_that_allows_no_inline_code_but_its_own() -> None:
    async with serving() as client:
        answer = await client.get("/docs")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert re.fullmatch(r"'self' 'sha256-[\w+/=]+'", policy["script-src"])
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/docs/oauth2-redirect", "/redoc"])
async def test_no_other_page_is_served(path: str) -> None:
    async with serving() as client:
        assert (await client.get(path)).status_code == 404

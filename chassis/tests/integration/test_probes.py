"""Probes, metrics, traces, log lines and the API description of an application over a real uvicorn."""

import asyncio
import json
import re
import time
from typing import Any

import httpx2
import pytest
import structlog

from testkit import eventually

from .web_app import SWITCH, error


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of Redis takes all the time that a check may."""
    monkeypatch.setattr("chassis.http.probes.CHECK_TIMEOUT_S", 0.2)


async def test_ping_and_health(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/ping")).json() == {"message": "pong"}
    assert (await http.get("/health")).json() == {"status": "healthy", "service": "chassis"}


async def test_ready_is_503_only_for_the_own_database_and_migrations(http: httpx2.AsyncClient) -> None:
    SWITCH.kafka = ConnectionError("10.0.0.1:9092")
    degraded = {"database": "ok", "kafka": "degraded: unreachable", "redis": "degraded: no answer within 2 s"}
    answer = await eventually(lambda: ready_with(http, "checks", degraded))
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "checks": degraded,
        "migrations": "ok",
    }
    SWITCH.database = ConnectionError("password=admin")
    answer = await eventually(lambda: ready_with(http, "status", "not_ready"))
    assert (answer.status_code, answer.json()["status"]) == (503, "not_ready")
    assert answer.json()["checks"]["database"] == "failed: unreachable"
    SWITCH.database, SWITCH.migrations = None, RuntimeError("revision 1")
    answer = await eventually(lambda: ready_with(http, "migrations", "failed: not current"))
    assert answer.status_code == 503


async def ready_with(http: httpx2.AsyncClient, field: str, value: object) -> httpx2.Response | None:
    """Return a report with this field; a report is kept for a second."""
    answer = await http.get("/ready")
    return answer if answer.json()[field] == value else None


async def test_many_probes_at_once_cost_one_report_which_is_kept_for_a_second(http: httpx2.AsyncClient) -> None:
    await eventually(lambda: ready_with(http, "status", "ready"))
    checked, began = SWITCH.checked, time.monotonic()
    answers = await asyncio.gather(*(http.get("/ready") for _ in range(400)))
    lasted = time.monotonic() - began
    assert {answer.status_code for answer in answers} == {200}
    assert SWITCH.checked - checked <= 1 + lasted / 1.0


async def test_metrics_name_the_template_and_bound_the_unknown(http: httpx2.AsyncClient) -> None:
    await http.post("/v1/things/41", json={"quantity": 1, "name": "a"})
    await http.get("/nowhere/41")
    await http.request("BREW", "/nowhere/42")
    text = (await http.get("/metrics")).text
    assert 'http_request_method="POST",http_response_status_code="200",http_route="/v1/things/{thing_id}"' in text
    assert 'http_request_method="GET",http_response_status_code="404",http_route="unmatched"' in text
    assert "41" not in "".join(line for line in text.splitlines() if "http_route=" in line and "nowhere" in line)
    assert "BREW" not in text


async def test_the_callers_trace_goes_on(http: httpx2.AsyncClient) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = await http.get("/v1/things/trace", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})
    assert answer.json() == trace_id


async def test_each_request_leaves_one_line(http: httpx2.AsyncClient) -> None:
    with structlog.testing.capture_logs() as lines:
        await http.post("/v1/things/41", json={"quantity": 1, "name": "a"})
    assert [(line["event"], line["route"], line["status_code"]) for line in lines] == [
        ("request", "/v1/things/{thing_id}", 200)
    ]


async def test_the_document_has_a_bearer_scheme_and_our_errors(http: httpx2.AsyncClient) -> None:
    document: dict[str, Any] = (await http.get("/openapi.json")).json()
    schemes = document["components"]["securitySchemes"]
    assert [(scheme["type"], scheme["scheme"]) for scheme in schemes.values()] == [("http", "bearer")]
    assert document["paths"]["/v1/things/mine"]["get"]["security"]
    assert "422" not in document["paths"]["/v1/things/{thing_id}"]["post"]["responses"]
    assert "HTTPValidationError" not in json.dumps(document)
    reference = document["paths"]["/v1/things/mine"]["get"]["responses"]["default"]["content"]["application/json"]
    assert reference["schema"] == {"$ref": "#/components/schemas/ErrorBody"}


async def test_the_page_loads_its_scripts_from_here_and_nowhere_else(http: httpx2.AsyncClient) -> None:
    text = (await http.get("/docs")).text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(loaded) == 3
    for address in loaded:
        assert address.startswith("/docs/assets/")
        assert (await http.get(address)).status_code == 200
    assert "https://" not in text
    error(await http.get("/redoc"), 404, "not_found")


async def test_the_document_names_the_refusals_that_follow_from_a_routes_shape(http: httpx2.AsyncClient) -> None:
    paths: dict[str, Any] = (await http.get("/openapi.json")).json()["paths"]
    assert list(paths["/v1/things/{thing_id}"]["post"]["responses"]) == ["200", "400", "413", "415", "default"]
    assert list(paths["/v1/things/mine"]["get"]["responses"]) == ["200", "401", "default"]
    assert list(paths["/ping"]["get"]["responses"]) == ["200", "default"]
    described = paths["/v1/things/mine"]["get"]["responses"]["401"]["content"]["application/json"]
    assert described["example"]["code"] == "unauthenticated"

"""Probes, metrics, traces, log lines and the API description of an application over a real uvicorn."""

import json
import re
from typing import Any

import httpx2
import structlog

from .web_app import SWITCH, error


async def test_ping_and_health(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/ping")).json() == {"message": "pong"}
    assert (await http.get("/health")).json() == {"status": "healthy", "service": "chassis"}


async def test_ready_is_503_only_for_the_own_database_and_migrations(http: httpx2.AsyncClient) -> None:
    SWITCH.kafka = ConnectionError("10.0.0.1:9092")
    answer = await http.get("/ready")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "checks": {"database": "ok", "kafka": "degraded: unreachable", "redis": "degraded: no answer within 2 s"},
        "migrations": "ok",
    }
    SWITCH.database = ConnectionError("password=admin")
    answer = await http.get("/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "not_ready")
    assert answer.json()["checks"]["database"] == "failed: unreachable"
    SWITCH.database, SWITCH.migrations = None, RuntimeError("revision 1")
    answer = await http.get("/ready")
    assert (answer.status_code, answer.json()["migrations"]) == (503, "failed: not current")


async def test_metrics_name_the_template_and_bound_the_unknown(http: httpx2.AsyncClient) -> None:
    await http.post("/v1/things/41", json={"quantity": 1, "name": "a"})
    await http.get("/nowhere/41")
    await http.request("BREW", "/nowhere/42")
    text = (await http.get("/metrics")).text
    assert 'http_request_duration_seconds_count{method="POST",route="/v1/things/{thing_id}",status="200"}' in text
    assert 'method="GET",route="unmatched",status="404"' in text
    assert "41" not in "".join(line for line in text.splitlines() if "route=" in line and "nowhere" in line)
    assert "BREW" not in text


async def test_the_callers_trace_goes_on(http: httpx2.AsyncClient) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = await http.get("/v1/things/trace", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})
    assert answer.json() == trace_id


async def test_each_request_leaves_one_line(http: httpx2.AsyncClient) -> None:
    with structlog.testing.capture_logs() as lines:
        await http.post("/v1/things/41", json={"quantity": 1, "name": "a"})
    assert [(line["event"], line["route"], line["status"]) for line in lines] == [
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

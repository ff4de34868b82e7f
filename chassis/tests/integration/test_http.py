"""The HTTP frame over a real uvicorn: errors, limits, probes, ids, metrics, and who may pass."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import structlog
import uvicorn
from fastapi import APIRouter, Request
from opentelemetry import trace
from pydantic import BaseModel

from chassis.auth.tokens import AdminUser, CurrentUser, TokenVerifier, encode_token
from chassis.config.settings import ServiceSettings
from chassis.errors import Conflict, Unavailable
from chassis.http.app import create_app
from chassis.http.probes import Readiness
from chassis.ids import PositiveId, TrimmedText

SECRET = "s" * 32
JSON = {"content-type": "application/json"}

router = APIRouter(prefix="/v1/things")
handled: list[str] = []


class Thing(BaseModel):
    """A body."""

    quantity: PositiveId
    name: TrimmedText


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
    """What the readiness checks find."""

    database: Exception | None = None
    kafka: Exception | None = None
    migrations: Exception | None = None


SWITCH = Switch()


def ready() -> Readiness:
    """Make checks that obey the switch; the third never ends."""

    async def database() -> None:
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
    result.add("redis", lambda: asyncio.sleep(30), critical=False)
    return result


class Server(uvicorn.Server):
    """uvicorn that leaves signals alone."""

    def install_signal_handlers(self) -> None:
        """Do nothing."""


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    """Serve, and give a client."""
    app = create_app(ServiceSettings(), routers=[router], ready=ready())
    app.state.verifier = TokenVerifier(SECRET)
    server = Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="on"))
    task = asyncio.create_task(server.serve())
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client
    server.should_exit = True
    await task


@pytest.fixture(autouse=True)
def _fresh() -> None:
    handled.clear()
    SWITCH.database = SWITCH.kafka = SWITCH.migrations = None


def error(answer: httpx2.Response, status: int, code: str) -> str:
    """Check the one shape of errors, and give the sentence."""
    assert answer.status_code == status, answer.text
    body: dict[str, str] = answer.json()
    assert set(body) == {"error", "code", "request_id"}
    assert body["code"] == code
    assert body["request_id"] == answer.headers["x-request-id"]
    return body["error"]


async def test_a_sane_request_id_is_echoed_and_any_other_replaced(http: httpx2.AsyncClient) -> None:
    for given in ("abc-1", "x" * 128):
        answer = await http.get("/ping", headers={"X-Request-ID": given})
        assert answer.headers["x-request-id"] == given
    for given in ("x" * 129, "", "tab\there"):
        answer = await http.get("/ping", headers={"X-Request-ID": given})
        assert len(answer.headers["x-request-id"]) == 32


async def test_unknown_addresses_and_methods_have_the_one_shape(http: httpx2.AsyncClient) -> None:
    error(await http.get("/nope"), 404, "not_found")
    error(await http.get("/ping/"), 404, "not_found")
    # This address is its own and no id of a thing, though a thing may be posted to any id.
    for method in ("DELETE", "POST"):
        answer = await http.request(method, "/v1/things/bodyless", json={"quantity": 1, "name": "a"})
        error(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "GET, HEAD"
    answer = await http.put("/v1/things/7")
    error(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
    answer = await http.post("/docs/assets/swagger-ui.css")
    error(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD"


async def test_head_is_get_without_its_body(http: httpx2.AsyncClient) -> None:
    for path, status in (("/ping", 200), ("/v1/things/bodyless", 200), ("/v1/things/mine", 401), ("/nope", 404)):
        with structlog.testing.capture_logs() as lines:
            answer = await http.head(path)
        assert (answer.status_code, answer.content) == (status, b"")
        assert int(answer.headers["content-length"]) > 0
        assert [line["method"] for line in lines if line["event"] == "request"] == ["HEAD"]
    assert "bodyless" in handled
    assert (await http.head("/v1/things/raw/callback")).headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"quantity":0,"name":"a"}', "quantity: should be greater than or equal to 1"),
        (b'{"quantity":1}', "name: is required"),
        (b'{"quantity":9223372036854775808,"name":"a"}', "quantity"),
        (b'{"quantity":1' + b"0" * 5000 + b',"name":"a"}', ""),
        (b'{"quantity":NaN,"name":"a"}', "NaN"),
        (b'{"quantity":1,"name":"\\u0000"}', "NUL"),
        (b'{"quantity":1,"name":"\\ud800"}', "surrogate"),
        (b'{"quantity":1,"name":"\xff"}', ""),
        (b"{", "not valid JSON"),
        (b"[" * 100_000, ""),
        ('{"quantity":1,"name":"a"}'.encode("utf-16"), "UTF-8"),
        ('{"quantity":1,"name":"\\u0000"}'.encode("utf-32-le"), "UTF-8"),
        (b'{"quantity":1,"name":"a\x00"}', "NUL"),
        (b'"text"', "JSON object"),
        (b"", "body is required"),
    ],
)
async def test_a_bad_body_is_400_and_says_what_is_allowed(http: httpx2.AsyncClient, body: bytes, says: str) -> None:
    answer = await http.post("/v1/things/1", content=body, headers=JSON)
    assert says in error(answer, 400, "validation_failed")
    assert handled == []


async def test_an_escaped_backslash_is_not_a_nul(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/things/1", json={"quantity": 1, "name": " \\u0000 \U0001f600"})
    assert answer.json() == {"quantity": 1, "name": "\\u0000 \U0001f600"}


@pytest.mark.parametrize("thing_id", ["0", "-1", "x", "1.5", str(2**63)])
async def test_an_id_that_is_no_positive_int64_is_400(http: httpx2.AsyncClient, thing_id: str) -> None:
    answer = await http.post(f"/v1/things/{thing_id}", json={"quantity": 1, "name": "a"})
    assert "thing_id" in error(answer, 400, "validation_failed")


async def test_a_nul_in_the_query_is_400(http: httpx2.AsyncClient) -> None:
    error(await http.get("/v1/things/bodyless?name=%00"), 400, "validation_failed")


async def chunks(size: int) -> AsyncIterator[bytes]:
    """Send a body without saying how long it is."""
    for _ in range(size // 65536):
        yield b" " * 65536


async def test_a_body_over_one_mebibyte_is_413_before_the_handler(http: httpx2.AsyncClient) -> None:
    for content in (b" " * (1024 * 1024 + 1), chunks(2 * 1024 * 1024)):
        error(await http.post("/v1/things/1", content=content, headers=JSON), 413, "payload_too_large")
    for content in (b" " * (1024 * 1024 + 1), chunks(2 * 1024 * 1024)):
        answer = await http.request("GET", "/v1/things/bodyless", content=content)
        error(answer, 413, "payload_too_large")
    assert handled == []


async def test_a_body_of_one_mebibyte_passes(http: httpx2.AsyncClient) -> None:
    start = b'{"quantity":1,"name":"a"'
    body = start + b" " * (1024 * 1024 - len(start) - 1) + b"}"
    assert (await http.post("/v1/things/1", content=body, headers=JSON)).status_code == 200
    assert (await http.request("GET", "/v1/things/bodyless", content=chunks(1024 * 1024))).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_another_content_type_is_415(http: httpx2.AsyncClient, content_type: str) -> None:
    body = b'{"quantity":1,"name":"a"}'
    answer = await http.post("/v1/things/1", content=body, headers={"content-type": content_type})
    error(answer, 415, "unsupported_media_type")


async def test_a_json_content_type_with_parameters_or_suffix_passes(http: httpx2.AsyncClient) -> None:
    for content_type in ("application/json; charset=utf-8", "application/merge-patch+json", "Application/JSON"):
        answer = await http.post(
            "/v1/things/1", content=b'{"quantity":1,"name":"a"}', headers={"content-type": content_type}
        )
        assert answer.status_code == 200


async def test_a_handler_can_refuse_before_the_body_is_looked_at(http: httpx2.AsyncClient) -> None:
    bad = {"content": b'{"x":NaN}', "headers": {"content-type": "text/plain", "x-callback-token": "wrong"}}
    error(await http.post("/v1/things/raw/callback", **bad), 409, "clash")  # type: ignore[arg-type]
    answer = await http.post("/v1/things/raw/callback", content=b"{}", headers=JSON | {"x-callback-token": "right"})
    assert answer.json() == "ok"


async def test_failures_tell_nothing_and_are_logged(http: httpx2.AsyncClient) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = await http.get("/v1/things/broken")
    assert error(answer, 500, "internal_error") == "Internal server error"
    assert any("SELECT password" in str(line.get("exc_info")) for line in lines)
    answer = await http.get("/v1/things/down")
    assert "10.1.2.3" not in error(answer, 503, "unavailable")
    assert answer.headers["retry-after"]


async def test_refusals_carry_their_code_and_retry_after(http: httpx2.AsyncClient) -> None:
    assert error(await http.get("/v1/things/refused"), 409, "clash") == "They clash"
    answer = await http.get("/v1/things/later")
    error(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "7"


async def test_a_route_asks_for_a_token_and_for_a_role(http: httpx2.AsyncClient) -> None:
    def bearer(role: str) -> dict[str, str]:
        return {"authorization": f"Bearer {encode_token(SECRET, user_id=7, email='', role=role)}"}

    answer = await http.get("/v1/things/mine")
    error(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for bad in ("Bearer x", "Bearer", "Basic abc"):
        error(await http.get("/v1/things/mine", headers={"authorization": bad}), 401, "invalid_token")
    assert (await http.get("/v1/things/mine", headers=bearer("user"))).json() == 7
    error(await http.get("/v1/things/all", headers=bearer("user")), 403, "forbidden")
    assert (await http.get("/v1/things/all", headers=bearer("admin"))).status_code == 200


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

"""No method, address, header or broken HTTP makes a service fail: each is refused in the one shape of errors."""

import asyncio
import json
import re

import httpx2
import pytest

from fc.stack.layout import SERVICES
from fc.stack.local import Stack
from tests.contract.route_client import RouteClient, headers_for, send
from tests.contract.routes import ROUTES, Route, name_of
from tests.kit.answers import INVALID, outcome
from tests.kit.hostile import LIMIT, NO_METHOD, NOT_FOUND, REFUSED, UNANSWERED

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_failures")]

WITH_BODY = [route for route in ROUTES if route.body is not None]
PATHS = sorted({(route.service, route.path) for route in ROUTES})
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def served(service: str, path: str) -> set[str]:
    methods = {route.method for route in ROUTES if (route.service, route.path) == (service, path)}
    return methods | {"HEAD"} if "GET" in methods else methods


@pytest.mark.parametrize(("service", "path"), PATHS)
async def test_other_methods_are_refused_with_those_that_are_served(
    route_client: RouteClient, service: str, path: str
) -> None:
    allowed = served(service, path)
    route = Route(service, "GET", path, ROUTES[0].answers)
    for method in METHODS:
        answer = await send(route_client, route, None, None, method=method) if method not in allowed else None
        if answer is not None:
            assert outcome(answer) == ((405, "") if method == "HEAD" else NO_METHOD), method
            assert set(answer.headers["allow"].split(", ")) == allowed, method


@pytest.mark.parametrize("route", [route for route in ROUTES if route.method == "GET"], ids=name_of)
async def test_head_says_what_get_says_without_its_body(route_client: RouteClient, route: Route) -> None:
    get, head = [await send(route_client, route, None, None, method=method) for method in ("GET", "HEAD")]
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert int(head.headers["content-length"]) > 0


@pytest.mark.parametrize("route", [route for route in ROUTES if "/assets/" not in route.path], ids=name_of)
async def test_an_address_beside_a_route_is_not_there(route_client: RouteClient, route: Route) -> None:
    url, _, query = route_client.url(route, route_client.ids).partition("?")
    beside = (f"{url}/", f"{url}//", f"{url}/x/y", f"{url}%0A/", url.replace("/v1/", "/v2/") + "/a")
    got = {address: outcome(await send(route_client, route, None, None, address)) for address in beside}
    assert got == dict.fromkeys(beside, NOT_FOUND)
    assert outcome(await send(route_client, route, None, None, f"{url}/..%2f")) == INVALID
    # Below some lists are their items, and no item has this id.
    assert outcome(await send(route_client, route, None, None, f"{url}/%00")) in (NOT_FOUND, INVALID, NO_METHOD)


@pytest.mark.parametrize("service", SERVICES)
async def test_unknown_addresses_are_not_there_for_any_method(route_client: RouteClient, service: str) -> None:
    base = route_client.stack.layout.url(service)
    for path in (
        "/",
        "/v1",
        "/v1/",
        "/favicon.ico",
        "/v1/nothing/here/at/all",
        "/%00",
        "/%FF",
        "/docs/assets/",
        "//ping",
    ):
        for method in METHODS:
            answer = await route_client.client.request(method, base + path)
            expected = NO_METHOD if path.startswith("/docs/") and method not in ("GET", "HEAD") else NOT_FOUND
            assert outcome(answer) == ((404, "") if method == "HEAD" else expected), (method, path)


@pytest.mark.parametrize(
    "path",
    ["..%2f..%2fcore.py", "%2e%2e/core.py", "..%5ccore.py", "%2fetc%2fpasswd", "a%00.js", "", "x" * 300, "a/b/c"],
)
async def test_no_file_but_the_pages_own_is_served(route_client: RouteClient, path: str) -> None:
    answer = await route_client.client.get(f"{route_client.stack.layout.url('orderfc')}/docs/assets/{path}")
    assert outcome(answer) == (INVALID if "%2f" in path else NOT_FOUND)


def requests(route_client: RouteClient, service: str) -> dict[int, httpx2.Request]:
    """Return a request for each status that needs no preparation."""
    url = route_client.stack.layout.url(service)
    [posted] = [route for route in WITH_BODY if route.service == service][:1]
    admin = headers_for(route_client, posted)
    made = {
        200: httpx2.Request("GET", f"{url}/ping"),
        400: httpx2.Request(posted.method, route_client.url(posted, route_client.ids), headers=admin, json=[]),
        404: httpx2.Request("GET", f"{url}/nothing"),
        405: httpx2.Request("PATCH", f"{url}/ping"),
        413: httpx2.Request("GET", f"{url}/ping", content=b" " * (LIMIT + 1)),
        415: httpx2.Request(posted.method, route_client.url(posted, route_client.ids), headers=admin, content=b"{}"),
    }
    closed = next(route for route in ROUTES if route.service == service and route.answers.anonymous[0] == 401)
    return made | {401: httpx2.Request(closed.method, route_client.url(closed, route_client.ids), json={})}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_request_id_is_given_back_when_it_is_a_sane_one_and_made_otherwise(
    route_client: RouteClient, service: str
) -> None:
    made: set[str] = set()
    for status, request in requests(route_client, service).items():
        for given in ("my-id", "a", "x" * 128, "0af7651916cd43dd8448eb211c80319c", 'with "quotes" and <b>'):
            request.headers["x-request-id"] = given
            answer = await route_client.client.send(request)
            assert (answer.status_code, answer.headers["x-request-id"]) == (status, given)
            outcome(answer)
        for odd in (b"x" * 129, b"", b"tab\there", b"\xc3\xa9", b"\xff", b"x" * 20_000):
            del request.headers["x-request-id"]
            request.headers = httpx2.Headers([*request.headers.raw, (b"x-request-id", odd)])
            answer = await route_client.client.send(request)
            assert answer.status_code == status
            assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
            made.add(answer.headers["x-request-id"])
            outcome(answer)
    assert len(made) == 7 * 6


async def exchange(stack: Stack, service: str, sent: bytes) -> bytes:
    """Send bytes over a new connection, end the stream and return the whole answer."""
    reader, writer = await asyncio.open_connection("localhost", stack.layout.port(service))
    try:
        writer.write(sent)
        writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_http_is_refused_in_the_same_shape_and_the_connection_closed(stack: Stack, name: str) -> None:
    head, _, body = (await exchange(stack, "userfc", REFUSED[name])).rpartition(b"\r\n\r\n")
    last = head.rpartition(b"HTTP/1.1 ")[2].decode().lower()
    assert last.startswith("400 ")
    assert "connection: close" in last
    shown = json.loads(body)
    assert set(shown) == {"error", "code", "request_id"}
    assert shown["code"] == INVALID[1]
    assert f"x-request-id: {shown['request_id']}" in last


@pytest.mark.parametrize("name", UNANSWERED)
async def test_a_request_that_never_ends_is_forgotten_with_its_connection(stack: Stack, name: str) -> None:
    assert await exchange(stack, "userfc", UNANSWERED[name]) == b""


async def test_a_request_to_talk_another_protocol_is_answered_as_if_it_had_not_been_there(stack: Stack) -> None:
    upgrade = (
        b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert (await exchange(stack, "orderfc", upgrade)).endswith(b'{"message":"pong"}')

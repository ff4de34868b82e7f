"""Access to every route of the running services, for every kind of caller, compared with the table in routes.py."""

import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import httpx2
import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

from chassis.config.settings import load
from chassis.grpc.users import UserClient
from fc.demo.shop import Shop
from fc.stack.layout import SERVICES
from fc.stack.local import Stack
from fc.stack.programs import settings_class
from tests.contract.route_client import UNUSED_ID, RouteClient
from tests.contract.routes import CALLBACKS, NO_TOKEN, OWNED, ROUTES, Route, name_of
from tests.kit.answers import Outcome, outcome
from tests.kit.stacks import secret_of
from tests.kit.tokens import Token, bearer, forgeries, genuine

pytestmark = pytest.mark.e2e


def callers(route_client: RouteClient, route: Route) -> dict[str, tuple[bytes | None, Outcome]]:
    """Return each caller's Authorization header and expected outcome."""
    answers, people, secret = route.answers, route_client.accounts, route_client.secret
    found: dict[str, tuple[bytes | None, Outcome]] = {
        "anonymous": (None, answers.anonymous),
        "owner": (bearer(Token.of(people["alice"], secret)), answers.owner),
        "other user": (bearer(Token.of(people["bob"], secret)), answers.other),
        "admin": (bearer(Token.of(people["admin"], secret)), answers.admin),
        "logged out": (route_client.logged_out, answers.bad_token),
    }
    # Each forged token claims to be an administrator's, so that only its defect can cause the refusal.
    spoiled = forgeries(people["admin"], secret)
    # Public routes ignore tokens: a few show that, and some of these routes hash passwords.
    some = list(spoiled)[:: 12 if answers.anonymous == answers.bad_token else 1]
    return found | {name: (spoiled[name], answers.bad_token) for name in some}


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
async def test_every_caller_gets_what_the_table_says(route_client: RouteClient, route: Route) -> None:
    got, expected = {}, {}
    for name, (header, wanted) in callers(route_client, route).items():
        ids = await route_client.fresh(route) if wanted[0] < 300 else route_client.ids
        expected[name] = wanted
        got[name] = outcome(await route_client.ask(route, header, ids))
    assert got == expected


@pytest.mark.parametrize("path", ["/v1/user-info", "/v1/orders/history"])
async def test_what_only_looks_odd_is_let_in(route_client: RouteClient, path: str) -> None:
    [route] = [route for route in ROUTES if route.path == path]
    headers = genuine(route_client.accounts["alice"], route_client.secret)
    got = {name: outcome(await route_client.ask(route, header)) for name, header in headers.items()}
    assert got == dict.fromkeys(headers, (200, ""))


@pytest.mark.parametrize("route", OWNED, ids=name_of)
async def test_what_is_somebody_elses_looks_like_what_is_not_there(route_client: RouteClient, route: Route) -> None:
    bob = bearer(Token.of(route_client.accounts["bob"], route_client.secret))
    texts = []
    for order_id in (route_client.ids["order_id"], UNUSED_ID):
        answer = await route_client.ask(route, bob, {**route_client.ids, "order_id": order_id})
        assert outcome(answer) == (404, "not_found")
        texts.append(answer.json()["error"].replace(str(order_id), "N"))
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.body and route.answers.anonymous == NO_TOKEN],
    ids=name_of,
)
async def test_a_caller_is_refused_before_the_fields_of_the_body_are(route_client: RouteClient, route: Route) -> None:
    url = route_client.url(route, {**route_client.ids, "product_id": 0, "category_id": "x", "anomaly_id": -1})
    for body in ({}, {"items": 1, "name": None, "order_id": "x", "note": 7}):
        answer = await route_client.client.request(route.method, url, json=body)
        assert outcome(answer) == NO_TOKEN


@pytest.mark.parametrize("path", CALLBACKS)
async def test_only_xendits_own_token_opens_the_webhook(route_client: RouteClient, path: str) -> None:
    [route] = [route for route in ROUTES if route.path == path]
    right = secret_of(route_client.stack, "paymentfc", "xendit_webhook_token")
    spoiled = ["", right[:-1], right + "x", right.upper(), right[::-1], right + " " + right, "Bearer " + right, "ü"]
    for token in spoiled:
        assert outcome(await route_client.ask(route, None, x_callback_token=token)) == (
            401,
            "invalid_callback_token",
        ), token
    admin = bearer(Token.of(route_client.accounts["admin"], route_client.secret))
    assert outcome(await route_client.ask(route, admin, x_callback_token="x")) == (401, "invalid_callback_token")
    for authorization in (None, b"Bearer x"):
        assert outcome(await route_client.ask(route, authorization, x_callback_token=right)) == (200, "")


@pytest.fixture
async def users(stack: Stack) -> Any:
    """userfc's gRPC, as the other services call it."""
    opened = UserClient(f"localhost:{stack.layout.port('grpc')}", secret_of(stack, "userfc", "grpc_credentials"))
    yield opened
    await opened.close()


async def test_grpc_believes_the_same_tokens_as_the_routes(route_client: RouteClient, users: UserClient) -> None:
    def token(header: bytes) -> str:
        return header.removeprefix(b"Bearer ").removeprefix(b"bearer ").decode("latin-1")

    # The defect of these is in the header around a valid token; gRPC has no such header.
    of_headers = {"the token alone"}
    for name, header in forgeries(route_client.accounts["admin"], route_client.secret).items():
        assert await users.validate_token(token(header)) is (name in of_headers), name
    for name, header in genuine(route_client.accounts["admin"], route_client.secret).items():
        assert await users.validate_token(token(header)), name


async def test_a_token_that_was_logged_out_is_refused_everywhere_at_once(
    route_client: RouteClient, shop: Shop, users: UserClient
) -> None:
    header = (await shop.login("admin")).headers["Authorization"].encode()
    chosen = [
        route
        for route in ROUTES
        if route.path in ("/v1/user-info", "/v1/orders/history", "/v1/payments/failed")
        or (route.method, route.path) == ("PUT", "/v1/products/{product_id}")
    ]
    assert {route.service for route in chosen} == set(SERVICES)
    assert [outcome(await route_client.ask(route, header)) for route in chosen] == [(200, "")] * 4
    assert await users.validate_token(header.decode().removeprefix("Bearer "))
    [logout] = [route for route in ROUTES if route.path == "/v1/logout"]
    assert outcome(await route_client.ask(logout, header)) == (200, "")
    assert [outcome(await route_client.ask(route, header)) for route in chosen] == [(401, "invalid_token")] * 4
    assert not await users.validate_token(header.decode().removeprefix("Bearer "))
    assert outcome(await route_client.ask(logout, header)) == (401, "invalid_token")


def documented(service: str, document: dict[str, Any]) -> dict[str, bool]:
    """Return the routes of an OpenAPI document, and whether each requires a bearer token."""
    return {
        f"{service} {method.upper()} {path}": any("bearer" in scheme for scheme in operation.get("security", ()))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }


def undocumented(service: str) -> set[str]:
    """Return the routes of the application, documented or not; static folders without their files."""
    app = import_module(f"{service}.app").SERVICE.application(load(settings_class(service)))
    found = set()
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, Mount):
            found.add(f"{service} GET {route.path}/")
        found |= {f"{service} {method} {route.path}" for method in route.methods or () if method != "HEAD"}
    return found


def differences(table: Iterable[Route], served: set[str]) -> tuple[set[str], set[str]]:
    """Return the routes that are not in the table, and the lines of the table without a route."""
    lines = {re.sub("(/docs/assets/).*", r"\1", route.name) for route in table}
    return served - lines, lines - served


async def test_the_table_has_every_route_and_no_other(stack: Stack, client: httpx2.AsyncClient) -> None:
    served: set[str] = set()
    for service in SERVICES:
        document = (await client.get(f"{stack.layout.url(service)}/openapi.json")).json()
        served |= set(documented(service, document)) | undocumented(service)
    assert differences(ROUTES, served) == (set(), set())
    planted = {"orderfc DELETE /v1/orders/{order_id}"}
    gone = {"orderfc GET /v1/orders/history"}
    assert differences(ROUTES, served | planted) == (planted, set())
    assert differences(ROUTES, served - gone) == (set(), gone)


@pytest.mark.parametrize("service", SERVICES)
async def test_the_document_asks_for_a_token_where_the_service_does(
    stack: Stack, client: httpx2.AsyncClient, service: str
) -> None:
    document = (await client.get(f"{stack.layout.url(service)}/openapi.json")).json()
    asked = documented(service, document)
    assert asked == {route.name: route.answers.anonymous == NO_TOKEN for route in ROUTES if route.name in asked}
    assert "/v1/payments/xendit/webhook" not in document["paths"] or document["paths"]["/v1/payments/xendit/webhook"][
        "post"
    ]["security"] == [{"callback": []}]

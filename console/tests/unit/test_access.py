"""Who gets what from each address of the console. An address that is not in OPEN is for administrators alone."""

import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import httpx2
import jwt
import pytest
from fastapi.routing import iter_route_contexts

from chassis.auth.revocation import TokenRevoked
from chassis.auth.tokens import TokenVerifier, encode_token
from chassis.config.declare import plain
from chassis.config.settings import load
from console.app import SERVICE
from console.config import Settings
from console.handler.session import COOKIE, FORM_COOKIE

from .browser import ORIGIN, Browser

# What answers without a session, and with which status: the probes, the log-in, files, and the documents of FastAPI.
OPEN = {
    "GET /login": 200,
    "POST /login": 403,
    "POST /logout": 403,
    "GET /static/{name}": 404,
    "POST /v1/traces": 200,
    "GET /ping": 200,
    "GET /health": 200,
    "GET /ready": 200,
    "GET /metrics": 200,
    "GET /docs": 200,
    "GET /openapi.json": 200,
}
VALUES = {"order_id": "42", "anomaly_id": "3", "refund_id": "4"}
FORM = "application/x-www-form-urlencoded"


def routes() -> list[tuple[str, str]]:
    """Return method and path of each route; folders of files are left out."""
    app = SERVICE.application(load(Settings, environment="development"))
    found = {
        (method, route.path)
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
        if route.path
    }
    return sorted((method, path) for method, path in found if method != "HEAD")


CLOSED = [route for route in routes() if " ".join(route) not in OPEN]
POSTS = [path for method, path in [*CLOSED, ("POST", "/logout")] if method == "POST"]


class Revoked:
    """Knows one token that was logged out."""

    jti = "logged-out"

    async def check(self, jti: str, _token: str, _exp: int, *, mutating: bool) -> None:
        if jti == self.jti:
            raise TokenRevoked


def filled(path: str) -> str:
    """Put a value into the place of each parameter."""
    for name, value in VALUES.items():
        path = path.replace(f"{{{name}}}", value)
    return path.replace("{", "").replace("}", "")


def spoiled(browser: Browser) -> Iterator[tuple[str, str]]:
    """Yield tokens of an administrator with one defect each."""
    secret, now = plain(browser.settings.jwt_secret), int(time.time())
    claims: Mapping[str, Any] = {
        "user_id": 9,
        "email": "a@example.com",
        "role": "admin",
        "jti": "j",
        "iat": now,
        "exp": now + 600,
        "iss": "userfc",
    }
    good = jwt.encode(dict(claims), secret)
    assert TokenVerifier(secret).decode(good).is_admin
    yield "made up", "x.y.z"
    yield "signed by another", encode_token("s" * 32, user_id=9, email="a", role="admin")
    yield "unsigned", jwt.encode(dict(claims), "", algorithm="none")
    yield "expired", jwt.encode({**claims, "iat": now - 7200, "exp": now - 3600}, secret)
    yield "of another issuer", jwt.encode({**claims, "iss": "console"}, secret)
    yield "cut", good[:-4]
    yield "logged out", jwt.encode({**claims, "jti": Revoked.jti}, secret)


@pytest.fixture
def guarded(browser: Browser) -> Browser:
    """A console that knows of a log-out."""
    browser.app.state.verifier = TokenVerifier(browser.settings.jwt_secret, Revoked())  # type: ignore[arg-type]
    return browser


async def ask(browser: Browser, method: str, path: str, token: str | None = None, **fields: str) -> httpx2.Response:
    """Ask with a session of this token, or without one; a POST brings the fields of a form."""
    headers = {"cookie": f"{COOKIE}={token}"} if token is not None else {}
    headers |= {"origin": ORIGIN, "content-type": FORM} if method == "POST" else {}
    content = urlencode(fields).encode() if method == "POST" else None
    browser.http.cookies.clear()
    return await browser.http.request(method, filled(path), headers=headers, content=content)


def leads_to_login(answer: httpx2.Response) -> bool:
    """Whether a page leads to the log-in; a stream of a page says 401, because nobody would see where it leads."""
    if answer.request.url.path.startswith("/live/"):
        return answer.status_code == 401
    return answer.status_code == 303 and answer.headers["location"].startswith("/login?next=")


def test_the_table_names_only_what_is_there() -> None:
    assert {name for name in OPEN if name not in {" ".join(route) for route in routes()}} == set()
    assert CLOSED


@pytest.mark.parametrize(("name", "status"), OPEN.items())
async def test_what_is_open_answers_without_a_session(guarded: Browser, name: str, status: int) -> None:
    method, path = name.split()
    answer = await ask(guarded, method, path)
    assert answer.status_code == status
    assert not guarded.platform.asked


@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_nobody_gets_data_or_changes_anything_without_a_session_of_an_administrator(
    guarded: Browser, method: str, path: str
) -> None:
    assert leads_to_login(await ask(guarded, method, path))
    for name, token in spoiled(guarded):
        assert leads_to_login(await ask(guarded, method, path, token)), name
    answer = await ask(guarded, method, path, guarded.token("user"))
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")
    assert not guarded.platform.asked


@pytest.mark.parametrize("path", POSTS)
async def test_a_form_of_another_site_person_or_browser_changes_nothing(guarded: Browser, path: str) -> None:
    guarded.sign_in()
    own = guarded.http.cookies[COOKIE]
    other = encode_token(guarded.settings.jwt_secret, user_id=8, email="b@example.com", role="admin")
    token = await guarded.form("/")
    browser = guarded.http.cookies[FORM_COOKIE]
    sent = {"content-type": FORM, "cookie": f"{COOKIE}={own}; {FORM_COOKIE}={browser}"}
    tries = {
        "another site": (sent | {"origin": "http://evil.example"}, token),
        "another port": (sent | {"origin": "http://localhost:1"}, token),
        "an origin that is hidden": (sent | {"origin": "null"}, token),
        "no origin": (sent, token),
        "no token": (sent | {"origin": ORIGIN}, ""),
        "another token": (sent | {"origin": ORIGIN}, "0" * 64),
        "another person": (sent | {"cookie": f"{COOKIE}={other}; {FORM_COOKIE}={browser}", "origin": ORIGIN}, token),
        "another browser": (sent | {"cookie": f"{COOKIE}={own}; {FORM_COOKIE}=x", "origin": ORIGIN}, token),
        "a browser without a name": (sent | {"cookie": f"{COOKIE}={own}", "origin": ORIGIN}, token),
        "an empty name": (sent | {"cookie": f"{COOKIE}={own}; {FORM_COOKIE}=", "origin": ORIGIN}, token),
    }
    before = len(guarded.platform.asked)
    guarded.http.cookies.clear()
    for name, (headers, form) in tries.items():
        content = urlencode({"form": form}).encode()
        answer = await guarded.http.post(filled(path), content=content, headers=headers)
        assert answer.status_code == 403, name
    assert [request.method for request in guarded.platform.asked[before:] if request.method != "GET"] == []


@pytest.mark.parametrize(
    ("method", "path"), [route for route in routes() if route[1] not in ("/docs", "/openapi.json")]
)
async def test_every_page_forbids_code_of_others(guarded: Browser, method: str, path: str) -> None:
    for token in (None, guarded.token("user"), *([] if path.startswith("/live") else [guarded.token()])):
        answer = await ask(guarded, method, path, token)
        if answer.headers.get("content-type", "text/html").startswith("text/html"):
            assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"

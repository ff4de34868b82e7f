"""Sessions of the console on the running stack: log-in, log-out, forged tokens, and two consoles side by side."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest

from console.handler.session import COOKIE
from fc.demo.shop import Shop, poll
from fc.stack.local import Stack
from tests.kit.processes import replica
from tests.kit.stacks import SECRETS, secret_of
from tests.kit.tokens import Account, forgeries

pytestmark = pytest.mark.e2e

FORM = "application/x-www-form-urlencoded"
ADMIN = {"email": "admin@example.com", "password": SECRETS["ADMIN_PASSWORD"]}
# The defect of these is in the header around a valid token; a cookie has no such header, and takes quotes off.
OF_HEADERS = {"the token alone", "quotes"}


class Person:
    """A browser without JavaScript in front of one console."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def get(self, path: str) -> httpx2.Response:
        return await self.http.get(path)

    async def send(self, page: str, action: str, **fields: str) -> httpx2.Response:
        """Send a form of a page, with the token that it has there."""
        found = re.search(r'name="form" value="(\w+)"', (await self.get(page)).text)
        assert found, f"{page} has no form"
        base = urlsplit(str(self.http.base_url))
        headers = {"content-type": FORM, "origin": f"{base.scheme}://{base.netloc}"}
        return await self.http.post(action, content=urlencode({"form": found[1], **fields}), headers=headers)

    async def log_in(self, **fields: str) -> httpx2.Response:
        return await self.send("/login", "/login", **fields)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Person]:
    async with httpx2.AsyncClient(base_url=url, timeout=20, trust_env=False) as http:
        yield Person(http)


@pytest.fixture
async def person(stack: Stack, shop: Shop) -> AsyncIterator[Person]:
    """A person in front of the console of the seeded stack, not logged in."""
    async with opened(stack.layout.url("console")) as made:
        yield made


async def test_an_administrator_logs_in_looks_and_logs_out_everywhere(person: Person, stack: Stack) -> None:
    answer = await person.log_in(**ADMIN, next="/orders/1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/orders/1")
    token = person.http.cookies[COOKIE]
    assert (await person.get("/")).status_code == 200
    admin_api = f"{stack.layout.url('orderfc')}/v1/admin/process"
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await person.http.get(admin_api, headers=bearer)).status_code == 200
    assert (await person.send("/", "/logout")).headers["location"] == "/login"
    assert COOKIE not in person.http.cookies

    async def refused() -> bool:
        return (await person.http.get(admin_api, headers=bearer)).status_code == 401

    await poll(refused, "the token is revoked", 10)
    person.http.cookies.set(COOKIE, token)

    async def forgotten() -> bool:
        return (await person.get("/")).status_code == 303

    await poll(forgotten, "the session is over", 10)


async def test_a_customer_who_logs_in_sees_nothing(person: Person) -> None:
    answer = await person.log_in(email="alice@example.com", password="customer123")
    assert answer.status_code == 303
    for path in ("/", "/orders/1"):
        refused = await person.get(path)
        assert refused.status_code == 403
        assert "role admin" in refused.text


async def test_a_wrong_password_gives_no_session(person: Person) -> None:
    answer = await person.log_in(email=ADMIN["email"], password="not this one")
    assert answer.status_code == 401
    assert COOKIE not in person.http.cookies


async def test_no_forged_token_is_a_session(person: Person, stack: Stack) -> None:
    secret = secret_of(stack, "console", "jwt_secret")
    tried = 0
    for name, header in forgeries(Account(1, ADMIN["email"], "admin"), secret).items():
        token = header.removeprefix(b"Bearer ")
        if name in OF_HEADERS or not header.startswith(b"Bearer "):
            continue
        cookie = f"{COOKIE}=".encode() + token
        answer = await person.http.get("/orders/1", headers=[(b"cookie", cookie)])
        assert answer.status_code == 303, name
        assert answer.headers["location"] == "/login?next=/orders/1", name
        tried += 1
    assert tried > 50


async def test_two_consoles_know_the_same_sessions_and_forms(person: Person, stack: Stack) -> None:
    await person.log_in(**ADMIN)
    async with replica(stack, "console") as second, opened(second.url) as other:
        other.http.cookies.set(COOKIE, person.http.cookies[COOKIE])
        assert (await other.get("/")).status_code == 200
        assert (await other.send("/", "/logout")).status_code == 303

        async def forgotten() -> bool:
            return (await person.get("/")).status_code == 303

        await poll(forgotten, "the first console knows of the log-out", 10)

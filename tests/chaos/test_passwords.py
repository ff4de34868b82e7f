"""Long passwords, and more logins than a process can hash at a time."""

import asyncio
from collections import Counter
from uuid import uuid4

import bcrypt
import httpx2
import pytest

from tests.chaos.kit.arena import Arena
from tests.chaos.kit.requests import registration
from tests.kit.answers import INVALID, outcome

pytestmark = pytest.mark.usefixtures("unharmed_services")


async def sign_in(arena: Arena, email: str, password: str) -> httpx2.Response:
    url = f"{arena.stack.layout.url('userfc')}/v1/login"
    return await arena.client.post(url, json={"email": email, "password": password}, timeout=60)


@pytest.mark.fault(76)
@pytest.mark.parametrize(
    "password",
    [
        pytest.param("x" * 72 + "y", id="73 bytes"),
        pytest.param("x" * 127 + "y", id="128 bytes"),
        pytest.param("ü" * 36 + "y", id="73 bytes, 37 characters"),
        pytest.param("🦊" * 127 + "y", id="509 bytes"),
    ],
)
async def test_all_of_a_long_password_counts_and_of_one_from_the_go_system_as_much_as_counted_there(
    arena: Arena, password: str
) -> None:
    url = f"{arena.stack.layout.url('userfc')}/v1/register"
    body = registration(password)
    assert outcome(await arena.client.post(url, json=body)) == (201, "")
    wrong = password[:-1] + "z"
    tries = [outcome(await sign_in(arena, body["email"], text)) for text in (password, wrong, password[:-1])]
    assert tries == [(200, ""), *[(401, "invalid_credentials")] * 2]
    legacy = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4, b"2a")).decode()
    await arena.sql("userfc", "UPDATE users SET password_hash = $1 WHERE email = $2", legacy, body["email"])
    assert outcome(await sign_in(arena, body["email"], "another " + password[8:])) == (401, "invalid_credentials")
    assert outcome(await sign_in(arena, body["email"], password)) == (200, "")
    [row] = await arena.sql("userfc", "SELECT password_hash FROM users WHERE email = $1", body["email"])
    assert row["password_hash"].startswith("$argon2id$")
    assert outcome(await sign_in(arena, body["email"], wrong)) == (401, "invalid_credentials")
    assert outcome(await arena.client.post(url, json=registration("x" * 129))) == INVALID
    await arena.exact()


@pytest.mark.fault(76)
async def test_a_storm_of_log_ins_is_answered_or_put_off_and_holds_up_nobody_else(arena: Arena) -> None:
    email, password = arena.stack.accounts()["alice"]
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx2.AsyncClient(timeout=60, limits=limits) as client:
        url = f"{arena.stack.layout.url('userfc')}"

        async def one(n: int) -> tuple[int, str]:
            body = {"email": email if n % 2 else f"nobody-{uuid4().hex}@example.com", "password": password}
            return outcome(await client.post(f"{url}/v1/login", json=body))

        # Each attempt costs at least a second: on the event loop no other request would be served meanwhile.
        slow = registration("correct horse")
        (await client.post(f"{url}/v1/register", json=slow)).raise_for_status()
        costly = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(14, b"2a")).decode()
        await arena.sql("userfc", "UPDATE users SET password_hash = $1 WHERE email = $2", costly, slow["email"])
        tries = [asyncio.create_task(sign_in(arena, slow["email"], "wrong password")) for _ in range(4)]
        healthy = Counter[int]()
        while not any(tried.done() for tried in tries):
            healthy[(await client.get(f"{url}/health", timeout=5)).status_code] += 1
        assert healthy[200] >= 3
        assert {outcome(await tried) for tried in tries} == {(401, "invalid_credentials")}
        await arena.sql("userfc", "DELETE FROM users WHERE email = $1", slow["email"])

        storm = asyncio.gather(*(one(n) for n in range(300)))
        _, order = await arena.placed()
        # Its invoice needs userfc's gRPC.
        await arena.complete(order)
        while not storm.done():
            healthy[(await client.get(f"{url}/health", timeout=5)).status_code] += 1
        answers = Counter(await storm)
    assert set(healthy) == {200}
    assert set(answers) <= {(200, ""), (401, "invalid_credentials"), (429, "rate_limited"), (503, "unavailable")}
    assert answers[(200, "")] >= 1
    assert answers[(401, "invalid_credentials")] >= 1
    arena.healed()
    await arena.exact()

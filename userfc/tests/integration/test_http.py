"""The HTTP routes: their answers, and the exact bodies of their refusals."""

import asyncio
import time
from typing import Any

import bcrypt
import jwt
import pytest

from chassis.auth.tokens import encode_token
from userfc.config import Settings

from .conftest import PASSWORD, Userfc, new_email, opened

GOOD = {"name": "Ann", "email": "taken@example.com", "password": PASSWORD, "confirm_password": PASSWORD}
WRONG = (401, {"error": "invalid email or password", "code": "invalid_credentials"})


def refusal(sentence: str) -> tuple[int, dict[str, Any]]:
    """Return the answer to an invalid body."""
    return 400, {"error": sentence, "code": "validation_failed"}


async def test_who_registers_can_sign_in_and_read_who_they_are(userfc: Userfc) -> None:
    email = new_email()
    body = {**GOOD, "name": "  Ann Lee ", "email": f" {email.upper()} ", "role": "admin"}
    assert await userfc.call("POST", "/v1/register", json=body) == (201, {"message": "User registered successfully"})
    for typed in (email, email.upper(), f" {email} "):
        status, answer = await userfc.login(typed)
        assert (status, list(answer)) == (200, ["token"])
    claims = jwt.decode(answer["token"], options={"verify_signature": False})
    user_id = await userfc.execute("SELECT id FROM users WHERE email = $1", email)
    expected = {"user_id": user_id, "email": email, "role": "user", "iss": "userfc"}
    assert expected.items() <= claims.items()
    assert set(claims) == {*expected, "jti", "iat", "exp"}
    assert claims["exp"] - claims["iat"] == 3600
    assert await userfc.call("GET", "/v1/user-info", answer["token"]) == (
        200,
        {"id": user_id, "name": "Ann Lee", "email": email, "role": "user"},
    )
    stored = await userfc.execute("SELECT password_hash FROM users WHERE id = $1", user_id)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": None}, "name: is required"),
        ({"email": None}, "email: is required"),
        ({"password": None}, "password: is required"),
        ({"confirm_password": None}, "confirm_password: is required"),
        ({"email": "nobody"}, "email: is not a valid e-mail address"),
        ({"email": "a@localhost"}, "email: is not a valid e-mail address"),
        ({"email": ""}, "email: is not a valid e-mail address"),
        ({"email": 7}, "email: should be a string"),
        ({"name": "   "}, "name: should have at least 1 character"),
        ({"name": "x" * 256}, "name: should have at most 255 characters"),
        ({"password": "1234567", "confirm_password": "1234567"}, "Password must be at least 8 characters long"),
        ({"password": "1234567"}, "Password must be at least 8 characters long"),
        ({"password": "x" * 129, "confirm_password": "x" * 129}, "Password must be at most 128 characters long"),
        ({"confirm_password": "another password"}, "Password and ConfirmPassword do not match"),
        ({"confirm_password": f"{PASSWORD} "}, "Password and ConfirmPassword do not match"),
        ({"name": "a\x00b"}, "Text must not contain a NUL character"),
    ],
)
async def test_a_registration_that_is_wrong_is_told_why(
    userfc: Userfc, changes: dict[str, object], sentence: str
) -> None:
    body = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    assert await userfc.call("POST", "/v1/register", json=body) == refusal(sentence)


@pytest.mark.parametrize("path", ["/v1/register", "/v1/login"])
async def test_what_is_no_json_object_is_refused(userfc: Userfc, path: str) -> None:
    json = {"Content-Type": "application/json"}
    assert (await userfc.call("POST", path))[0] == 400
    assert (await userfc.call("POST", path, content=b"{", headers=json))[0] == 400
    assert await userfc.call("POST", path, json=[]) == refusal("The body should be a JSON object")
    status, answer = await userfc.call("POST", path, content=b"a=b", headers={"Content-Type": "text/plain"})
    assert (status, answer["code"]) == (415, "unsupported_media_type")
    status, answer = await userfc.call("POST", path, content=b" " * (1024 * 1024 + 1), headers=json)
    assert (status, answer["code"]) == (413, "payload_too_large")
    status, answer = await userfc.call("GET", path)
    assert (status, answer["code"]) == (405, "method_not_allowed")


async def test_a_taken_address_is_a_conflict_in_any_case(userfc: Userfc) -> None:
    email = await userfc.register()
    for again in (email, email.upper(), f"  {email.title()}"):
        assert await userfc.call("POST", "/v1/register", json={**GOOD, "email": again}) == (
            409,
            {"error": "email is already registered", "code": "email_taken"},
        )


async def test_of_two_who_race_for_an_address_one_gets_it(userfc: Userfc) -> None:
    for _ in range(5):
        email = new_email()
        bodies = [{**GOOD, "email": email}, {**GOOD, "email": email.upper()}]
        answers = await asyncio.gather(*(userfc.call("POST", "/v1/register", json=body) for body in bodies))
        assert sorted(status for status, _ in answers) == [201, 409]
        assert await userfc.execute("SELECT count(*) FROM users WHERE lower(email) = $1", email) == 1


async def test_an_unknown_user_and_a_wrong_password_get_the_same_answer(userfc: Userfc) -> None:
    email = await userfc.register()
    for password in ("a bad password", PASSWORD.upper(), "", "x" * 4_000):
        assert await userfc.login(email, password) == WRONG
    for unknown in (new_email(), "", "no address", "x" * 4_000, "' OR 1=1 --"):
        assert await userfc.login(unknown, PASSWORD) == WRONG


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "email: is required"),
        ({"email": "a@example.com"}, "password: is required"),
        ({"email": 1, "password": PASSWORD}, "email: should be a string"),
        ({"email": "a@example.com", "password": None}, "password: should be a string"),
    ],
)
async def test_a_login_without_its_fields_is_malformed(userfc: Userfc, body: dict[str, Any], sentence: str) -> None:
    assert await userfc.call("POST", "/v1/login", json=body) == refusal(sentence)


async def test_a_user_of_the_go_system_signs_in_and_gets_a_new_hash(userfc: Userfc) -> None:
    email, password = f"Legacy-{new_email()}", "x" * 70 + "äää"
    stored = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4, b"2a")).decode()
    await userfc.execute("INSERT INTO users (name, email, password_hash) VALUES ('Old', $1, $2)", email, stored)
    assert await userfc.login(email, "wrong password") == WRONG
    assert await userfc.execute("SELECT password_hash FROM users WHERE email = $1", email) == stored
    assert (await userfc.login(email.lower(), password))[0] == 200
    renewed = await userfc.execute("SELECT password_hash FROM users WHERE email = $1", email)
    assert renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await userfc.login(email, password))[0] == 200
    assert await userfc.execute("SELECT password_hash FROM users WHERE email = $1", email) == renewed


async def test_user_info_wants_a_good_token_of_an_existing_user(userfc: Userfc) -> None:
    secret = userfc.settings.jwt_secret
    good = await userfc.token()
    missing = (401, {"error": "Authentication is required", "code": "unauthenticated"})
    invalid = (401, {"error": "The token is not valid", "code": "invalid_token"})
    for method, path in (("GET", "/v1/user-info"), ("POST", "/v1/logout")):
        assert await userfc.call(method, path) == missing
        assert await userfc.call(method, path, "x.y.z") == invalid
        assert await userfc.call(method, path, headers={"Authorization": f"Basic {good}"}) == invalid
        forged = encode_token("another-secret-that-is-long-enough-0123456789", user_id=1, email="a", role="admin")
        assert await userfc.call(method, path, forged) == invalid
        expired = encode_token(secret, user_id=1, email="a", role="user", now=time.time() - 3700)
        assert await userfc.call(method, path, expired) == invalid
    unknown = encode_token(secret, user_id=2**62, email="a@example.com", role="user")
    status, answer = await userfc.call("GET", "/v1/user-info", unknown)
    assert (status, answer["code"]) == (401, "invalid_token")
    answered = await userfc.http.get("/v1/user-info")
    assert answered.headers["www-authenticate"] == "Bearer"


async def test_the_probes_answer_and_the_document_has_its_routes(userfc: Userfc) -> None:
    assert await userfc.call("GET", "/ping") == (200, {"message": "pong"})
    assert await userfc.call("GET", "/health") == (200, {"status": "healthy", "service": "userfc"})
    ready = {"status": "ready", "checks": {"database": "ok", "redis": "ok"}, "migrations": "ok"}
    assert await userfc.call("GET", "/ready") == (200, ready)
    _, document = await userfc.call("GET", "/openapi.json")
    assert {"/v1/register", "/v1/login", "/v1/user-info", "/v1/logout"} <= set(document["paths"])
    assert document["paths"]["/v1/logout"]["post"]["security"] == [{"bearer": []}]


async def test_without_a_database_userfc_starts_and_says_unavailable(settings: Settings) -> None:
    away = settings.model_copy(update={"db_port": 1})
    async with opened(away, work=True) as userfc:
        assert (await userfc.call("GET", "/ready"))[0] == 503
        assert (await userfc.call("GET", "/health"))[0] == 200
        status, answer = await userfc.login("ann@example.com")
        assert (status, answer["code"]) == (503, "unavailable")
        assert (await userfc.http.get("/ready")).json()["checks"]["database"] == "failed: unreachable"

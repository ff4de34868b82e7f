"""The contract of userfc over the running stack: registration, login, logout, and lookups by gRPC."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import grpc
import grpc.aio
import jwt
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.grpc import server as chassis_grpc
from chassis.pb import user_pb2, user_pb2_grpc
from fc.demo.shop import Customer
from fc.stack.local import Stack
from tests.contract.api import Api, sentence
from tests.kit.answers import outcome
from tests.kit.stacks import secret_of

Stub = user_pb2_grpc.UserServiceStub


@pytest.fixture
async def channel(stack: Stack) -> AsyncIterator[grpc.aio.Channel]:
    """A connection to userfc's gRPC port."""
    async with chassis_grpc.channel(f"localhost:{stack.layout.port('grpc')}") as opened:
        yield opened


@pytest.fixture
def users(channel: grpc.aio.Channel) -> Stub:
    """The stub of userfc's gRPC service."""
    return Stub(channel)


@pytest.fixture
def credential(stack: Stack) -> tuple[tuple[str, str], ...]:
    """The credential of calls between services."""
    return (("authorization", f"Bearer {secret_of(stack, 'userfc', 'grpc_credentials')}"),)


async def test_registering_answers_201_with_the_sentence_and_makes_an_ordinary_user(api: Api) -> None:
    email = f"{uuid4().hex}@example.com"
    answer = await api.register(email=email, role="admin", user_id=1)
    assert (answer.status_code, answer.json()) == (201, {"message": "User registered successfully"})
    login = await api.ask("userfc", "POST", "/v1/login", json={"email": email, "password": "correct horse"})
    assert set(login.json()) == {"token"}
    headers = {"Authorization": f"Bearer {login.json()['token']}"}
    shown = (await api.ask("userfc", "GET", "/v1/user-info", headers=headers)).json()
    assert set(shown) == {"id", "name", "email", "role"}
    assert (shown["name"], shown["email"], shown["role"]) == ("Dewi", email, "user")


async def test_a_short_password_a_different_one_and_a_bad_address_are_told_in_their_own_words(api: Api) -> None:
    short, differs, bad = (
        await api.register(password="1234567"),
        await api.register(confirm_password="another one"),
        await api.register(email="no address"),
    )
    assert (short.status_code, differs.status_code, bad.status_code) == (400, 400, 400)
    assert "Password must be at least 8 characters long" in short.json()["error"]
    assert "Password and ConfirmPassword do not match" in differs.json()["error"]
    assert "email" in bad.json()["error"]


async def test_passwords_of_8_and_of_128_code_points_are_taken_and_longer_ones_are_not(api: Api) -> None:
    assert (await api.register(password="🦊" * 8)).status_code == 201
    assert (await api.register(password="é" * 128)).status_code == 201
    assert outcome(await api.register(password="é" * 129)) == (400, "validation_failed")


async def test_an_address_is_taken_whatever_its_case_also_when_ten_race_for_it(api: Api) -> None:
    name = uuid4().hex
    spellings = [f"{name}@example.com", f"{name.upper()}@Example.COM"] * 5
    answers = await asyncio.gather(*(api.register(email=email) for email in spellings))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    assert {outcome(answer) for answer in answers if answer.status_code == 409} == {(409, "email_taken")}


async def test_an_unknown_user_and_a_wrong_password_are_told_the_same(api: Api) -> None:
    email = f"{uuid4().hex}@example.com"
    await api.register(email=email)
    wrong = await api.ask("userfc", "POST", "/v1/login", json={"email": email, "password": "wrong horse"})
    unknown = await api.ask("userfc", "POST", "/v1/login", json={"email": f"x{email}", "password": "wrong horse"})
    assert sentence(wrong) == sentence(unknown) == (401, "invalid email or password")
    assert outcome(wrong) == outcome(unknown)


async def test_a_token_has_the_claims_of_the_contract_and_lives_an_hour(api: Api, stack: Stack) -> None:
    token = (await api.visitor()).headers["Authorization"].removeprefix("Bearer ")
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    claims = jwt.decode(token, secret_of(stack, "userfc", "jwt_secret"), algorithms=["HS256"], issuer="userfc")
    assert set(claims) == {"user_id", "email", "role", "jti", "iat", "exp", "iss"}
    assert claims["exp"] - claims["iat"] == 3600


async def test_the_administrator_of_the_settings_has_the_role(api: Api, stack: Stack) -> None:
    shown = (await api.ask("userfc", "GET", "/v1/user-info", api.admin)).json()
    assert (shown["email"], shown["role"]) == (stack.accounts()["admin"][0], "admin")


async def test_ten_wrong_passwords_close_the_account_with_429_and_say_for_how_long(api: Api) -> None:
    email = f"{uuid4().hex}@example.com"
    await api.register(email=email)
    guess = {"email": email.upper(), "password": "wrong horse"}
    for _ in range(10):
        assert (await api.ask("userfc", "POST", "/v1/login", json=guess)).status_code == 401
    for password in ("wrong horse", "correct horse"):
        refused = await api.ask("userfc", "POST", "/v1/login", json=guess | {"password": password})
        assert outcome(refused) == (429, "rate_limited")
        assert (refused.headers["ratelimit-limit"], refused.headers["ratelimit-remaining"]) == ("10", "0")
        assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]
        assert 1 <= int(refused.headers["retry-after"]) <= 60


async def test_logging_out_says_so_and_ends_this_token_only(api: Api) -> None:
    email = f"{uuid4().hex}@example.com"
    await api.register(email=email)
    login = {"email": email, "password": "correct horse"}
    first, second = [
        Customer(email, api.client, api.stack.urls(), answer.json()["token"])
        for answer in (
            await api.ask("userfc", "POST", "/v1/login", json=login),
            await api.ask("userfc", "POST", "/v1/login", json=login),
        )
    ]
    answer = await api.ask("userfc", "POST", "/v1/logout", first)
    assert (answer.status_code, answer.json()) == (200, {"message": "Logged out"})
    assert outcome(await api.ask("userfc", "GET", "/v1/user-info", first)) == (401, "invalid_token")
    assert (await api.ask("orderfc", "GET", "/v1/orders/history", second)).status_code == 200


async def test_grpc_tells_who_a_user_is_and_refuses_invalid_ids(
    api: Api, users: Stub, credential: tuple[tuple[str, str], ...]
) -> None:
    visitor = await api.visitor()
    shown = (await api.ask("userfc", "GET", "/v1/user-info", visitor)).json()
    found = await users.GetUserInfoByUserId(user_pb2.GetUserInfoRequest(user_id=shown["id"]), metadata=credential)
    assert {"id": found.id, "name": found.name, "email": found.email, "role": found.role} == shown
    codes = {
        2**62: grpc.StatusCode.NOT_FOUND,
        0: grpc.StatusCode.INVALID_ARGUMENT,
        -1: grpc.StatusCode.INVALID_ARGUMENT,
    }
    for user_id, code in codes.items():
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await users.GetUserInfoByUserId(user_pb2.GetUserInfoRequest(user_id=user_id), metadata=credential)
        assert refused.value.code() is code


async def test_grpc_judges_a_token_until_it_is_logged_out(
    api: Api, users: Stub, credential: tuple[tuple[str, str], ...]
) -> None:
    visitor = await api.visitor()
    shown = (await api.ask("userfc", "GET", "/v1/user-info", visitor)).json()
    request = user_pb2.ValidateTokenRequest(token=visitor.headers["Authorization"].removeprefix("Bearer "))
    good = await users.ValidateToken(request, metadata=credential)
    assert (good.valid, good.user_id, good.email, good.error) == (True, shown["id"], shown["email"], "")
    await api.ask("userfc", "POST", "/v1/logout", visitor)
    gone = await users.ValidateToken(request, metadata=credential)
    assert (gone.valid, gone.user_id, gone.email) == (False, 0, "")
    assert gone.error


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer wrong"),), (("authorization", ""),)])
async def test_grpc_without_the_credential_is_unauthenticated(
    users: Stub, metadata: tuple[tuple[str, str], ...]
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await users.GetUserInfoByUserId(user_pb2.GetUserInfoRequest(user_id=1), metadata=metadata)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await users.ValidateToken(user_pb2.ValidateTokenRequest(token="x"), metadata=metadata)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_grpc_health_answers_anybody(channel: grpc.aio.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(service="user.UserService"))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING

"""The gRPC methods, over the loopback interface."""

import time
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from chassis.auth.tokens import encode_token
from chassis.errors import NotFound
from chassis.grpc.server import channel, metadata
from chassis.grpc.users import User
from chassis.pb import user_pb2, user_pb2_grpc
from userfc.config import Settings

from .conftest import Userfc, opened


@pytest.fixture
async def wire(userfc: Userfc) -> AsyncIterator[grpc.aio.Channel]:
    """A channel without credentials."""
    async with channel(f"127.0.0.1:{userfc.settings.grpc_port}") as open_channel:
        yield open_channel


async def test_a_user_is_found_by_id(userfc: Userfc) -> None:
    email = await userfc.register(name="Ann Lee")
    user_id = await userfc.execute("SELECT id FROM users WHERE email = $1", email)
    assert await userfc.rpc.get_user(user_id) == User(id=user_id, email=email, name="Ann Lee", role="user")
    with pytest.raises(NotFound):
        await userfc.rpc.get_user(2**63 - 1)


@pytest.mark.parametrize(
    ("user_id", "code", "sentence"),
    [
        (0, grpc.StatusCode.INVALID_ARGUMENT, "user_id: should be a positive whole number"),
        (-7, grpc.StatusCode.INVALID_ARGUMENT, "user_id: should be a positive whole number"),
        (2**62, grpc.StatusCode.NOT_FOUND, f"user {2**62} not found"),
    ],
)
async def test_other_ids_are_refused(
    userfc: Userfc, wire: grpc.aio.Channel, user_id: int, code: grpc.StatusCode, sentence: str
) -> None:
    stub = user_pb2_grpc.UserServiceStub(wire)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.GetUserInfoByUserId(
            user_pb2.GetUserInfoRequest(user_id=user_id), timeout=2, metadata=metadata(userfc.settings.grpc_credentials)
        )
    assert (refused.value.code(), refused.value.details()) == (code, sentence)


async def test_a_token_is_judged_without_a_grpc_error(userfc: Userfc, wire: grpc.aio.Channel) -> None:
    stub = user_pb2_grpc.UserServiceStub(wire)

    async def validate(token: str) -> user_pb2.ValidateTokenResponse:
        request = user_pb2.ValidateTokenRequest(token=token)
        answer: user_pb2.ValidateTokenResponse = await stub.ValidateToken(
            request, timeout=2, metadata=metadata(userfc.settings.grpc_credentials)
        )
        return answer

    email = await userfc.register()
    token = await userfc.token(email)
    user_id = await userfc.execute("SELECT id FROM users WHERE email = $1", email)
    assert await validate(token) == user_pb2.ValidateTokenResponse(valid=True, user_id=user_id, email=email)
    secret = userfc.settings.jwt_secret
    expired = encode_token(secret, user_id=1, email="a", role="user", now=time.time() - 3700)
    forged = encode_token("x" * 40, user_id=1, email="a", role="user")
    for bad in ("", "abc", token[:-3], "x" * 100_000, expired, forged):
        assert await validate(bad) == user_pb2.ValidateTokenResponse(valid=False, error="The token is not valid")
    await userfc.call("POST", "/v1/logout", token)
    assert await validate(token) == user_pb2.ValidateTokenResponse(valid=False, error="The token is no longer valid")


@pytest.mark.parametrize("credential", [(), (("authorization", "Bearer wrong"),), (("authorization", ""),)])
async def test_without_the_credential_nothing_is_told(
    userfc: Userfc, wire: grpc.aio.Channel, credential: tuple[tuple[str, str], ...]
) -> None:
    assert userfc
    stub = user_pb2_grpc.UserServiceStub(wire)
    for call, request in (
        (stub.ValidateToken, user_pb2.ValidateTokenRequest(token="x")),
        (stub.GetUserInfoByUserId, user_pb2.GetUserInfoRequest(user_id=1)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request, timeout=2, metadata=credential)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_health_and_reflection_are_open(userfc: Userfc, wire: grpc.aio.Channel) -> None:
    await userfc.rpc.ping()
    health = await health_pb2_grpc.HealthStub(wire).Check(health_pb2.HealthCheckRequest(service="user.UserService"))
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    stub = reflection_pb2_grpc.ServerReflectionStub(wire)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async for answer in stub.ServerReflectionInfo(iter([request])):
        names = {service.name for service in answer.list_services_response.service}
        assert "user.UserService" in names


async def test_the_database_away_is_unavailable_and_no_verdict(settings: Settings) -> None:
    async with opened(settings.model_copy(update={"db_port": 1})) as userfc:
        token = encode_token(settings.jwt_secret, user_id=1, email="a", role="user")
        async with channel(f"127.0.0.1:{userfc.settings.grpc_port}") as wire:
            stub = user_pb2_grpc.UserServiceStub(wire)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.ValidateToken(
                    user_pb2.ValidateTokenRequest(token=token), timeout=5, metadata=metadata(settings.grpc_credentials)
                )
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE

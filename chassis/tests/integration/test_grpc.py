"""A real gRPC server and the client for userfc, over the loopback interface."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import REGISTRY
from pydantic import SecretStr

from chassis.config.settings import ServiceSettings
from chassis.errors import NotFound, Unavailable
from chassis.grpc import server as chassis_grpc
from chassis.grpc import users as users_module
from chassis.grpc.users import User, UserClient
from chassis.pb import user_pb2, user_pb2_grpc
from testkit import eventually, free_port

CREDENTIAL = "the-internal-credential"


class Users(user_pb2_grpc.UserServiceServicer):
    """Knows user 7, breaks for user 500, and never answers for user 600."""

    async def GetUserInfoByUserId(
        self, request: user_pb2.GetUserInfoRequest, context: object
    ) -> user_pb2.GetUserInfoResult:
        """Answer as userfc does."""
        if request.user_id == 500:
            raise RuntimeError("SELECT secret FROM users")
        if request.user_id == 600:
            await asyncio.Event().wait()
        if request.user_id != 7:
            raise NotFound("There is no such user")
        return user_pb2.GetUserInfoResult(id=7, email="a@example.com", name="Ann", role="user")

    async def ValidateToken(
        self, request: user_pb2.ValidateTokenRequest, context: object
    ) -> user_pb2.ValidateTokenResponse:
        """Accept one token."""
        return user_pb2.ValidateTokenResponse(valid=request.token == "good")


@dataclass
class Running:
    """The server's address."""

    address: str


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    """Run the server."""
    settings = ServiceSettings(http_host="127.0.0.1", grpc_credentials=SecretStr(CREDENTIAL))
    port = free_port()
    server = await chassis_grpc.server(
        settings,
        {"user.UserService": partial(user_pb2_grpc.add_UserServiceServicer_to_server, Users())},
        port=port,
    )
    await server.start()
    yield Running(f"127.0.0.1:{port}")
    await server.stop(grace=0)


@pytest.fixture
async def client(running: Running) -> AsyncIterator[UserClient]:
    """Connect with the right credential."""
    result = UserClient(running.address, CREDENTIAL)
    yield result
    await result.close()


async def test_a_known_user_is_returned(client: UserClient) -> None:
    assert await client.get_user(7) == User(id=7, email="a@example.com", name="Ann", role="user")


async def test_an_unknown_user_is_not_found(client: UserClient) -> None:
    with pytest.raises(NotFound):
        await client.get_user(8)


async def test_a_token_is_valid_or_not(client: UserClient) -> None:
    assert await client.validate_token("good") is True
    assert await client.validate_token("bad") is False


def called(side: str, method: str, code: str) -> float:
    labels = {"rpc_method": f"user.UserService/{method}", "rpc_response_status_code": code}
    return REGISTRY.get_sample_value(f"rpc_{side}_call_duration_seconds_count", labels) or 0


async def test_calls_are_measured_on_both_sides_by_method_and_outcome(client: UserClient) -> None:
    calls = (("ValidateToken", "OK"), ("GetUserInfoByUserId", "NOT_FOUND"), ("GetUserInfoByUserId", "INTERNAL"))
    before = [called(side, *call) for call in calls for side in ("client", "server")]
    await client.validate_token("good")
    with pytest.raises(NotFound):
        await client.get_user(8)
    with pytest.raises(Unavailable):
        await client.get_user(500)
    assert [called(side, *call) for call in calls for side in ("client", "server")] == [count + 1 for count in before]


async def test_a_server_that_is_away_is_unavailable() -> None:
    client = UserClient(f"127.0.0.1:{free_port()}", CREDENTIAL)
    with pytest.raises(Unavailable):
        await client.get_user(7)
    with pytest.raises(Unavailable):
        await client.ping()
    await client.close()


async def test_a_channel_that_nobody_uses_is_closed_and_the_next_call_opens_another(
    client: UserClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users_module, "REST_S", 0.1)
    assert await client.validate_token("good")
    opened = client._channel
    assert opened is not None
    await eventually(lambda: client._channel is None)
    await eventually(lambda: opened.get_state() is grpc.ChannelConnectivity.SHUTDOWN)
    assert await client.validate_token("good")
    await eventually(lambda: client._channel is None)
    client.connect()
    assert client._channel is not None
    assert (await client.get_user(7)).name == "Ann"


async def test_a_channel_that_is_used_stays_open(client: UserClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users_module, "REST_S", 1.0)
    client.connect()
    opened, loop = client._channel, asyncio.get_running_loop()
    end = loop.time() + 2.5
    while loop.time() < end:
        assert await client.validate_token("good")
        assert client._channel is opened


async def test_a_call_ends_at_its_deadline(client: UserClient) -> None:
    async with asyncio.timeout(20):
        with pytest.raises(Unavailable):
            await client.get_user(600)


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer wrong"),), (("authorization", CREDENTIAL),)])
async def test_a_call_without_the_credential_is_refused(
    running: Running, metadata: tuple[tuple[str, str], ...]
) -> None:
    async with chassis_grpc.channel(running.address) as channel:
        stub = user_pb2_grpc.UserServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ValidateToken(user_pb2.ValidateTokenRequest(token="good"), metadata=metadata, timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_an_unexpected_error_tells_the_caller_nothing(running: Running) -> None:
    async with chassis_grpc.channel(running.address) as channel:
        stub = user_pb2_grpc.UserServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetUserInfoByUserId(
                user_pb2.GetUserInfoRequest(user_id=500), metadata=chassis_grpc.metadata(CREDENTIAL), timeout=5
            )
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "SELECT" not in str(caught.value.details())


async def test_health_and_reflection_need_no_credential(running: Running) -> None:
    async with chassis_grpc.channel(running.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service="user.UserService"), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        async for reply in stub.ServerReflectionInfo(iter([request]), timeout=5):
            names = {service.name for service in reply.list_services_response.service}
            break
    assert "user.UserService" in names


async def test_a_taken_port_refuses_the_start(running: Running) -> None:
    settings = ServiceSettings(http_host="127.0.0.1", grpc_credentials=SecretStr(CREDENTIAL))
    with pytest.raises(RuntimeError):
        await chassis_grpc.server(settings, {}, port=int(running.address.rsplit(":")[-1]))

"""What strangers can cost the gRPC server: streams, messages that never come, and messages that are none."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.grpc import calls
from chassis.grpc import server as chassis_grpc
from chassis.grpc.calls import ANONYMOUS
from chassis.grpc.users import UserClient

from .test_grpc import CREDENTIAL, Running, client, running

__all__ = ["client", "running"]

VALIDATE, CHECK = "/user.UserService/ValidateToken", "/grpc.health.v1.Health/Check"
WATCH, REFLECT = "/grpc.health.v1.Health/Watch", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
ALLOWED = (("authorization", f"Bearer {CREDENTIAL}"),)


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    """Wait until a call ends and return why."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (_read(call) if hasattr(call, "__aiter__") else call)
    return caught.value


async def _read(call: Any) -> None:
    async for _ in call:
        pass


@asynccontextmanager
async def raw_channel(running: Running) -> AsyncIterator[Any]:
    """Open a channel for messages as bytes."""
    async with chassis_grpc.channel(running.address) as channel:
        yield channel


async def test_a_thousand_watches_of_strangers_are_few_and_hold_up_no_service(running: Running) -> None:
    users = UserClient(running.address, CREDENTIAL)
    async with chassis_grpc.channel(running.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(1000)]

        async def ended(watch: Any) -> grpc.StatusCode | None:
            try:
                await watch.read()
            except grpc.aio.AioRpcError as error:
                return error.code()
            return None

        codes = Counter(await asyncio.wait_for(asyncio.gather(*(ended(watch) for watch in watches)), 60))
        assert codes[None] <= ANONYMOUS
        # Of so many refusals on one connection the library also ends the connection.
        assert set(codes) <= {None, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
        assert await users.validate_token("good")
        await users.ping()
        for watch in watches:
            watch.cancel()
    await users.close()


async def test_a_watch_of_a_stranger_ends_and_one_with_the_credential_stays(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "ANONYMOUS_S", 0.3)
    async with chassis_grpc.channel(running.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        mine = stub.Watch(health_pb2.HealthCheckRequest(), metadata=ALLOWED)
        assert (await mine.read()).status == health_pb2.HealthCheckResponse.SERVING
        error = await refusal(stub.Watch(health_pb2.HealthCheckRequest()))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert not mine.done()
        mine.cancel()


@pytest.mark.parametrize("method", [VALIDATE, CHECK, WATCH, REFLECT])
@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"\x0a\x05ab", b"\x0a\x01\xff"])
async def test_garbage_is_an_invalid_argument_in_a_sentence(running: Running, method: str, raw: bytes) -> None:
    async with raw_channel(running) as channel:
        if method == REFLECT:
            call: Any = channel.stream_stream(method)(iter([raw]), metadata=ALLOWED, timeout=10)
        elif method == WATCH:
            call = channel.unary_stream(method)(raw, metadata=ALLOWED, timeout=10)
        else:
            call = channel.unary_unary(method)(raw, metadata=ALLOWED, timeout=10)
        error = await refusal(call)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == "the message is not one that this method takes"


async def never() -> AsyncIterator[bytes]:
    """A message that does not come."""
    await asyncio.Event().wait()
    yield b""


async def test_a_stranger_who_sends_no_message_is_refused_at_once(running: Running) -> None:
    async with raw_channel(running) as channel:
        error = await refusal(channel.stream_unary(VALIDATE)(never(), timeout=5))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(("method", "metadata"), [(VALIDATE, ALLOWED), (CHECK, ALLOWED), (CHECK, ())])
async def test_a_message_that_does_not_come_is_not_waited_for(
    running: Running, method: str, metadata: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "MESSAGE_S", 0.2)
    async with raw_channel(running) as channel:
        error = await refusal(channel.stream_unary(method)(never(), metadata=metadata, timeout=10))
    assert (error.code(), error.details()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "the message did not arrive within 0.2 s",
    )


async def test_a_message_that_is_too_large_is_refused(running: Running, client: UserClient) -> None:
    async with raw_channel(running) as channel:
        call = channel.unary_unary(VALIDATE)(b"\x0a" + b"x" * 300_000, metadata=ALLOWED, timeout=10)
        assert (await refusal(call)).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await client.validate_token("good")


async def test_calls_beyond_the_limit_are_refused_and_the_next_one_is_served(
    running: Running, client: UserClient
) -> None:
    per_channel = chassis_grpc.MAX_CALLS_OF_CONNECTION
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels: list[Any] = [
        grpc.aio.insecure_channel(running.address, options=options)
        for _ in range(chassis_grpc.MAX_CALLS // per_channel + 1)
    ]
    waiting = [
        channel.stream_unary(VALIDATE)(never(), metadata=ALLOWED) for channel in channels for _ in range(per_channel)
    ]
    endings = [asyncio.ensure_future(refusal(call)) for call in waiting]
    done, _ = await asyncio.wait(endings, timeout=8, return_when=asyncio.FIRST_COMPLETED)
    assert {ending.result().code() for ending in done} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    for ending in endings:
        ending.cancel()
    await asyncio.gather(*endings, return_exceptions=True)
    assert await client.validate_token("good")
    for channel in channels:
        await channel.close()

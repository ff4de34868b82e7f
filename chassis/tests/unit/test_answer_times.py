"""How long aiokafka's client waits for a broker that hangs: what waits for the group waits on, all else is bounded."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import KafkaConnectionError, KafkaError, RequestTimedOutError
from aiokafka.protocol.admin import ApiVersionResponse_v0
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest
from aiokafka.protocol.metadata import MetadataResponse_v0

from chassis.kafka import answer_times
from chassis.kafka.answer_times import BoundedAnswers, bound_connections

COORDINATOR_S, ANSWER_S, GROUP_S = 0.1, 1.0, 2.0

HEARTBEAT = HeartbeatRequest("group", 1, "member")
JOIN = JoinGroupRequest("group", 10_000, 30_000, "", None, "consumer", [])
SYNC = SyncGroupRequest("group", 1, "member", None, [])
OTHER = FindCoordinatorRequest("group", 0)
API_VERSIONS, METADATA = 18, 3


class Broker:
    """Answers what a client asks for to be connected, and nothing else. With `frozen` it answers nothing at all."""

    frozen = False
    port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while size := await reader.read(4):
            request = await reader.readexactly(int.from_bytes(size))
            api, _, number = struct.unpack(">hhi", request[:8])
            answers = {API_VERSIONS: self._versions, METADATA: self._metadata}
            if api in answers and not self.frozen:
                body = number.to_bytes(4) + answers[api]().encode()
                writer.write(len(body).to_bytes(4) + body)
        writer.close()

    def _versions(self) -> Any:
        return ApiVersionResponse_v0(0, [(api, 0, 0) for api in (API_VERSIONS, METADATA, 10, 11, 12, 14)])

    def _metadata(self) -> Any:
        return MetadataResponse_v0([(1, "127.0.0.1", self.port)], [])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    started = Broker()
    server = await asyncio.start_server(started.serve, "127.0.0.1", 0)
    started.port = server.sockets[0].getsockname()[1]
    async with server:
        yield started


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_times, "COORDINATOR_S", COORDINATOR_S)


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[AIOKafkaClient]:
    client = AIOKafkaClient(bootstrap_servers=address, request_timeout_ms=int(GROUP_S * 1000))
    bound_connections(client, ANSWER_S)
    client.send = BoundedAnswers(client)
    try:
        await client.bootstrap()
        yield client
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("request_", "group", "least_s", "most_s"),
    [
        (OTHER, ConnectionGroup.DEFAULT, ANSWER_S, GROUP_S),
        (HEARTBEAT, ConnectionGroup.COORDINATION, COORDINATOR_S, ANSWER_S),
        (JOIN, ConnectionGroup.COORDINATION, GROUP_S, 10 * GROUP_S),
        (SYNC, ConnectionGroup.COORDINATION, GROUP_S, 10 * GROUP_S),
    ],
    ids=["a broker", "a coordinator", "a join", "a sync"],
)
async def test_a_broker_that_hangs_is_given_up_in_the_time_of_the_request(
    broker: Broker, request_: Any, group: Any, least_s: float, most_s: float
) -> None:
    async with connected(broker.address) as client:
        began = monotonic()
        with pytest.raises(RequestTimedOutError):
            await client.send(1, request_, group=group)
        assert least_s <= monotonic() - began + 0.01 < most_s
        assert not client._conns[1, group].connected(), "the next request has a new connection"


@pytest.fixture
def connect_s(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(answer_times, "CONNECT_S", ANSWER_S / 2)
    return ANSWER_S / 2


@pytest.mark.parametrize("group", ConnectionGroup.__members__.values())
async def test_a_broker_that_takes_connections_and_says_nothing_is_given_up_sooner(
    broker: Broker, connect_s: float, group: Any
) -> None:
    async with connected(broker.address) as client:
        broker.frozen = True
        began = monotonic()
        with pytest.raises(KafkaError):
            await client.send(1, JOIN, group=group)
        assert connect_s <= monotonic() - began + 0.01 < ANSWER_S


async def test_the_first_connection_of_a_client_is_bounded_too(broker: Broker, connect_s: float) -> None:
    broker.frozen = True
    began = monotonic()
    with pytest.raises(KafkaConnectionError):
        async with connected(broker.address):
            pass
    assert connect_s <= monotonic() - began + 0.01 < ANSWER_S


async def test_what_is_sent_behind_a_join_waits_as_long_as_the_join(broker: Broker) -> None:
    async with connected(broker.address) as client:
        joining = asyncio.ensure_future(client.send(1, JOIN, group=ConnectionGroup.COORDINATION))
        await asyncio.wait([joining], timeout=COORDINATOR_S)
        behind = asyncio.ensure_future(client.send(1, HEARTBEAT, group=ConnectionGroup.COORDINATION))
        done, _ = await asyncio.wait([joining, behind], timeout=COORDINATOR_S * 2)
        assert not done, "longer than a heartbeat waits by itself"
        failed = await asyncio.gather(joining, behind, return_exceptions=True)
        assert all(isinstance(each, KafkaError) for each in failed)

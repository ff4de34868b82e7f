"""How long a consumer and a producer wait for a broker, so that one that hangs is soon left for those that do not.

aiokafka has one time for the making of a connection and for all answers on it. In a consumer that is 40 s, because a
member may have to wait for its group for 30 s. A broker that is frozen takes connections, and answers nothing on them:
it held up its partitions, the groups that it coordinated and those who asked it for metadata, each for that time, and
one after the other, although other brokers had taken its place after some seconds.
"""

import asyncio
from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import CloseReason
from aiokafka.errors import RequestTimedOutError
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest

# TCP, TLS, SASL and the versions of requests. A client makes its connections one after the other.
CONNECT_S = 3.0
# Heartbeats, commits: their answers are small. A heartbeat that is late by so much leaves half a session's time.
COORDINATOR_S = 5.0
# A broker holds a fetch for 2 s at most, and then sends at most 1 MiB of each partition.
FETCH_S = 10.0


def bound_connections(client: AIOKafkaClient, answer_s: float) -> None:
    """Give up a connection that is not made after CONNECT_S, and one whose answer takes longer than `answer_s`.

    Connections to the coordinator of a group keep the time that the client was made with.
    """
    connected, group_s = client._get_conn, client._request_timeout_ms / 1000
    # Of the connections that it makes from now on, and of its wait for a topic that no broker knows.
    client._request_timeout_ms = int(CONNECT_S * 1000)

    async def get_conn(node_id: Any, *, group: Any = ConnectionGroup.DEFAULT, no_hint: bool = False) -> Any:
        connection = await connected(node_id, group=group, no_hint=no_hint)
        if connection is not None and connection._request_timeout == CONNECT_S:
            connection._request_timeout = group_s if group == ConnectionGroup.COORDINATION else answer_s
        return connection

    client._get_conn = get_conn


class BoundedAnswers:
    """The `send` of a consumer's client: what the coordinator of a group has to answer at once is given COORDINATOR_S.

    Requests that wait for the whole group have the time of their connection, and so has what is sent behind them: a
    broker answers the requests of a connection one after the other.
    """

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client
        self._send = client.send
        self._joins = 0

    async def __call__(self, node_id: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        if group != ConnectionGroup.COORDINATION:
            return await self._send(node_id, request, group=group)
        if not isinstance(request, JoinGroupRequest | SyncGroupRequest):
            return await self._small(node_id, request, group)
        self._joins += 1
        try:
            return await self._send(node_id, request, group=group)
        finally:
            self._joins -= 1

    async def _small(self, node_id: int, request: Any, group: Any) -> Any:
        if self._joins:
            return await self._send(node_id, request, group=group)
        try:
            async with asyncio.timeout(COORDINATOR_S):
                return await self._send(node_id, request, group=group)
        except TimeoutError:
            # Not answered yet: the connection is of no use for the next request.
            if connection := self._client._conns.get((node_id, group)):
                connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
            raise RequestTimedOutError from None

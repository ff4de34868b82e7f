"""The client of userfc: token validation and user look-up."""

from dataclasses import dataclass

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr

from chassis.errors import NotFound, Unavailable
from chassis.grpc.server import channel, metadata
from chassis.pb import user_pb2, user_pb2_grpc

log = structlog.get_logger(__name__)

DEADLINE_S = 2.0


@dataclass(frozen=True, slots=True)
class User:
    id: int
    email: str
    name: str
    role: str


class UserClient:
    """Calls userfc by gRPC with a deadline of 2 s each. Connects at the first call."""

    def __init__(self, addr: str, credentials: str | SecretStr) -> None:
        self._addr = addr
        self._credentials = credentials
        self._channel: grpc.aio.Channel | None = None

    async def validate_token(self, token: str) -> bool:
        """Return whether the token is valid and not revoked. Raises Unavailable when userfc does not answer."""
        try:
            answer = await self._stub().ValidateToken(
                user_pb2.ValidateTokenRequest(token=token), timeout=DEADLINE_S, metadata=metadata(self._credentials)
            )
        except grpc.aio.AioRpcError as error:
            raise _unavailable(error) from error
        return bool(answer.valid)

    async def get_user(self, user_id: int) -> User:
        """Return the user. Raises NotFound for an unknown id, Unavailable when userfc does not answer."""
        try:
            answer = await self._stub().GetUserInfoByUserId(
                user_pb2.GetUserInfoRequest(user_id=user_id), timeout=DEADLINE_S, metadata=metadata(self._credentials)
            )
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                raise NotFound(f"There is no user {user_id}") from None
            raise _unavailable(error) from error
        return User(id=answer.id, email=answer.email, name=answer.name, role=answer.role)

    async def ping(self) -> None:
        """Ask userfc's health service. Raises Unavailable unless it is serving."""
        stub = health_pb2_grpc.HealthStub(self._open())
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise _unavailable(error) from error
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            raise Unavailable("userfc is not serving")

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._channel = channel(self._addr)
        return self._channel

    def _stub(self) -> "user_pb2_grpc.UserServiceStub":
        return user_pb2_grpc.UserServiceStub(self._open())


def _unavailable(error: grpc.aio.AioRpcError) -> Unavailable:
    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
        log.error("userfc refuses our credential: GRPC_CREDENTIALS differs")
    return Unavailable("The user service does not answer")

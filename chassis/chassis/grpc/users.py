"""The client of userfc: token validation and user look-up."""

from dataclasses import dataclass
from typing import Self

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr

from chassis.config.settings import ServiceSettings
from chassis.errors import NotFound, Unavailable
from chassis.grpc.server import channel, channel_credentials, metadata
from chassis.pb import user_pb2, user_pb2_grpc

log = structlog.get_logger(__name__)

DEADLINE_S = 2.0
# How gRPC says that a certificate has another authority or another name.
UNTRUSTED = ("CERTIFICATE_VERIFY_FAILED", "Hostname Verification Check failed")


@dataclass(frozen=True, slots=True)
class User:
    id: int
    email: str
    name: str
    role: str


class UserClient:
    """Calls userfc by gRPC with a deadline of 2 s each. Connects at the first call."""

    def __init__(self, addr: str, credentials: str | SecretStr, tls: grpc.ChannelCredentials | None = None) -> None:
        self._addr = addr
        self._tls = tls
        self._credentials = credentials
        self._channel: grpc.aio.Channel | None = None

    @classmethod
    def of(cls, settings: ServiceSettings) -> Self:
        return cls(settings.user_service_addr, settings.grpc_credentials, channel_credentials(settings))

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
            answer = await stub.Check(
                health_pb2.HealthCheckRequest(), timeout=DEADLINE_S, metadata=metadata(self._credentials)
            )
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
            self._channel = channel(self._addr, self._tls)
        return self._channel

    def _stub(self) -> "user_pb2_grpc.UserServiceStub":
        return user_pb2_grpc.UserServiceStub(self._open())


def _unavailable(error: grpc.aio.AioRpcError) -> Unavailable:
    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
        log.error("userfc refuses our credential: GRPC_CREDENTIALS differs")
    details = error.details() or ""
    if any(sign in details for sign in UNTRUSTED):
        log.error("userfc's certificate is refused: see GRPC_TLS_CA and USER_SERVICE_ADDR", error=details)
    return Unavailable("The user service does not answer")

"""The client of userfc: token validation and user look-up."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Self

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.trace import SpanKind
from pydantic import SecretStr

from chassis import telemetry
from chassis.config.settings import ProcessSettings
from chassis.errors import NotFound, Unavailable
from chassis.grpc.calls import rpc_status
from chassis.grpc.server import channel, channel_credentials, metadata
from chassis.metrics import Histogram
from chassis.pb import user_pb2, user_pb2_grpc

log = structlog.get_logger(__name__)

DEADLINE_S = 2.0
# A channel without a call for so long is closed: as long as there is one, gRPC's threads wake ten times a second. The
# next call takes 2 ms longer (measured). It must be more than a call may take, and than what is between two probes.
REST_S = 15.0
CALLS = Histogram(
    "rpc_client_call_duration_seconds",
    "Time from a gRPC call of another service to its answer or failure",
    ["rpc_method", "rpc_response_status_code"],
)
# What is a failure to who calls.
FAILED = frozenset(grpc.StatusCode) - {grpc.StatusCode.OK}
# How gRPC says that a certificate has another authority or another name.
UNTRUSTED = ("CERTIFICATE_VERIFY_FAILED", "Hostname Verification Check failed")


@dataclass(frozen=True, slots=True)
class User:
    id: int
    email: str
    name: str
    role: str


class UserClient:
    """Calls userfc by gRPC with a deadline of 2 s each. Connects at the first call, also after a time of rest."""

    def __init__(self, addr: str, credentials: str | SecretStr, tls: grpc.ChannelCredentials | None = None) -> None:
        self._addr = addr
        self._tls = tls
        self._credentials = credentials
        self._channel: grpc.aio.Channel | None = None
        self._used_at = 0.0
        self._closing: asyncio.Future[None] | None = None

    @classmethod
    def of(cls, settings: ProcessSettings) -> Self:
        return cls(settings.user_service_addr, settings.grpc_credentials, channel_credentials(settings))

    async def validate_token(self, token: str) -> bool:
        """Return whether the token is valid and not revoked. Raises Unavailable when userfc does not answer."""
        try:
            answer = await self._call("ValidateToken", user_pb2.ValidateTokenRequest(token=token))
        except grpc.aio.AioRpcError as error:
            raise _unavailable(error) from error
        return bool(answer.valid)

    async def get_user(self, user_id: int) -> User:
        """Return the user. Raises NotFound for an unknown id, Unavailable when userfc does not answer."""
        try:
            answer = await self._call("GetUserInfoByUserId", user_pb2.GetUserInfoRequest(user_id=user_id))
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

    def connect(self) -> None:
        """Begin to connect, so that a call which follows soon does not wait for it."""
        self._open().get_state(try_to_connect=True)

    async def close(self) -> None:
        opened, self._channel = self._channel, None
        if opened is not None:
            await opened.close()

    def _open(self) -> grpc.aio.Channel:
        loop = asyncio.get_running_loop()
        self._used_at = loop.time()
        if self._channel is None:
            self._channel = channel(self._addr, self._tls)
            loop.call_later(REST_S, self._rest, self._channel)
        return self._channel

    def _rest(self, opened: grpc.aio.Channel) -> None:
        """Close a channel that was not used for REST_S; look again when it may be time for it otherwise."""
        if opened is not self._channel:
            return
        loop = asyncio.get_running_loop()
        left_s = self._used_at + REST_S - loop.time()
        if left_s > 0:
            loop.call_later(left_s, self._rest, opened)
        else:
            # Now, so that no call begins on it any more.
            self._channel = None
            self._closing = asyncio.ensure_future(opened.close())

    async def _call(self, method: str, request: object) -> Any:
        """Call a method of userfc. Raises grpc.aio.AioRpcError."""
        name, started, code = f"user.UserService/{method}", time.perf_counter(), grpc.StatusCode.CANCELLED
        with telemetry.tracing.child(name, kind=SpanKind.CLIENT) as span:
            call = getattr(user_pb2_grpc.UserServiceStub(self._open()), method)
            try:
                answer = await call(request, timeout=DEADLINE_S, metadata=metadata(self._credentials))
                code = grpc.StatusCode.OK
                return answer
            except grpc.aio.AioRpcError as error:
                code = error.code()
                raise
            finally:
                CALLS.labels(name, code.name).observe(time.perf_counter() - started)
                rpc_status(span, name, code, FAILED)


def _unavailable(error: grpc.aio.AioRpcError) -> Unavailable:
    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
        log.error("userfc refuses our credential: GRPC_CREDENTIALS differs")
    details = error.details() or ""
    if any(sign in details for sign in UNTRUSTED):
        log.error("userfc's certificate is refused: see GRPC_TLS_CA and USER_SERVICE_ADDR", error=details)
    return Unavailable("The user service does not answer")

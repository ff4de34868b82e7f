"""The gRPC server and its channel: an internal credential on every call, one translation of errors, trace context."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from opentelemetry.trace import SpanKind
from pydantic import SecretStr

from chassis import telemetry
from chassis.config.declare import plain
from chassis.config.settings import ServiceSettings
from chassis.errors import AppError, Kind, is_contention, is_transient

log = structlog.get_logger(__name__)

CODES: Mapping[Kind, grpc.StatusCode] = {
    Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Kind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.UNPROCESSABLE: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.RATE_LIMITED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Kind.INTERNAL: grpc.StatusCode.INTERNAL,
}
OPEN_SERVICES = ("/grpc.health.v1.Health/", "/grpc.reflection.")
SERVER_OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 1024 * 1024),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
]
CHANNEL_OPTIONS = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_http_proxy", 0),
]

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Next: TypeAlias = Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]
Register = Callable[[grpc.aio.Server], None]


async def server(
    settings: ServiceSettings, services: Mapping[str, Register], *, port: int | None = None
) -> grpc.aio.Server:
    """Make a server, not yet started, on `settings.grpc_port` (or `port`), with health and reflection.

    `services` maps a full service name such as `user.UserService` to a function that adds its servicer to the server.
    Raises RuntimeError when the port is taken.
    """
    result = grpc.aio.server(
        interceptors=[CredentialInterceptor(settings.grpc_credentials), CallInterceptor()], options=SERVER_OPTIONS
    )
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, result)
    for name, register in services.items():
        register(result)
        await health_servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    reflection.enable_server_reflection([*services, health.SERVICE_NAME, reflection.SERVICE_NAME], result)
    address = f"{settings.http_host}:{port or settings.grpc_port}"
    if not result.add_insecure_port(address):
        raise RuntimeError(f"gRPC can't listen on {address}")
    return result


def channel(address: str) -> grpc.aio.Channel:
    """Open a channel, which connects and reconnects by itself. Needs a running event loop."""
    return grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)


def metadata(credentials: str | SecretStr) -> tuple[tuple[str, str], ...]:
    """Make the metadata of one call: the internal credential and the current trace context."""
    return tuple(telemetry.inject({"authorization": f"Bearer {plain(credentials)}"}).items())


class CredentialInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls without the internal credential. Health and reflection are open."""

    def __init__(self, credentials: str | SecretStr) -> None:
        self._expected = f"Bearer {plain(credentials)}".encode()

    async def intercept_service(
        self,
        continuation: Next,
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        if handler_call_details.method.startswith(OPEN_SERVICES):
            return await continuation(handler_call_details)
        given = dict(handler_call_details.invocation_metadata or ()).get("authorization", "")
        value = given if isinstance(given, bytes) else given.encode()
        if hmac.compare_digest(value, self._expected):
            return await continuation(handler_call_details)
        return grpc.unary_unary_rpc_method_handler(_refuse)


async def _refuse(_request: object, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the internal credential is missing or wrong")


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Opens a span around each unary call and translates its errors. Other handlers pass unchanged."""

    async def intercept_service(
        self,
        continuation: Next,
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not handler.unary_unary or method.startswith(OPEN_SERVICES):
            return handler
        work: Any = handler.unary_unary

        async def call(request: object, context: "grpc.aio.ServicerContext[Any, Any]") -> object:
            headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
            with telemetry.tracer.start_as_current_span(
                method.lstrip("/"), context=telemetry.extract(headers), kind=SpanKind.SERVER
            ):
                try:
                    return await work(request, context)
                except grpc.aio.AbortError:
                    raise
                except Exception as error:
                    code, sentence = _translate(method, error)
                return await context.abort(code, sentence)

        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


def _translate(method: str, error: Exception) -> tuple[grpc.StatusCode, str]:
    if isinstance(error, AppError):
        return CODES[error.kind], error.message
    if is_transient(error) or is_contention(error):
        log.warning("a dependency is down", method=method, error=f"{type(error).__name__}: {error}")
        return grpc.StatusCode.UNAVAILABLE, "something that is needed can't be reached now"
    log.error("call failed", method=method, exc_info=error)
    return grpc.StatusCode.INTERNAL, "internal error"

"""gRPC on both sides: an internal credential on every call, errors mapped once, the trace context carried along."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
import structlog
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from opentelemetry.trace import SpanKind
from structlog.contextvars import bound_contextvars

from chassis import telemetry
from chassis.auth import same_secret
from chassis.errors import AppError, Kind, is_transient

log = structlog.get_logger(__name__)

CODES = {
    Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Kind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.METHOD_NOT_ALLOWED: grpc.StatusCode.UNIMPLEMENTED,
    Kind.CONFLICT: grpc.StatusCode.ABORTED,
    Kind.UNPROCESSABLE: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.UNSUPPORTED_MEDIA: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.PAYLOAD_TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.RATE_LIMITED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Kind.INTERNAL: grpc.StatusCode.INTERNAL,
}

# Probes and tools ask these without the internal credential; they tell nothing about anybody.
_OPEN = ("/grpc.health.", "/grpc.reflection.")
_KEEPALIVE = [("grpc.keepalive_time_ms", 20_000), ("grpc.keepalive_timeout_ms", 5_000)]
_MAX_MESSAGE = ("grpc.max_receive_message_length", 1024 * 1024)


class _Guard(aio.ServerInterceptor):
    """Refuses calls without the internal credential."""

    def __init__(self, credential: str) -> None:
        self._expected = f"Bearer {credential}" if credential else ""

        async def refuse(_request: Any, context: "aio.ServicerContext[Any, Any]") -> None:  # noqa: ANN401
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "an internal credential is required")

        self._refuse = grpc.unary_unary_rpc_method_handler(refuse)

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any]":
        """Let a call through when its method is open or its credential is ours."""
        if not str(handler_call_details.method).startswith(_OPEN):
            given = dict(handler_call_details.invocation_metadata or ()).get("authorization")
            if not same_secret(given, self._expected):
                return self._refuse
        return await continuation(handler_call_details)


async def answered(
    context: "aio.ServicerContext[Any, Any]", method: str, work: Callable[[], Awaitable[Any]]
) -> Any:  # noqa: ANN401 - the servicer's own result type
    """Run a servicer method's work: its trace is the caller's, its refusals become gRPC codes, once, here."""
    metadata = {str(key): str(value) for key, value in context.invocation_metadata() or ()}
    with (
        telemetry.tracer.start_as_current_span(
            method, context=telemetry.extract(metadata), kind=SpanKind.SERVER, attributes={"rpc.system": "grpc"}
        ),
        bound_contextvars(rpc=method),
    ):
        try:
            return await work()
        except AppError as error:
            await context.abort(CODES[error.kind], error.message)
        except Exception as error:  # noqa: BLE001 - the last resort of this edge
            if is_transient(error):
                log.warning("dependency is away", error=str(error))
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the service can't answer this now")
            log.error("call failed", exc_info=error)
            await context.abort(grpc.StatusCode.INTERNAL, "internal error")


async def server(
    port: int, credential: str, services: Sequence[tuple[str, Callable[[aio.Server], None]]], *, host: str = "0.0.0.0"  # noqa: S104
) -> tuple[aio.Server, int]:
    """Make a server (not started) with health and reflection; return it and the port that it is bound to.

    `services` are the full service names with the function that adds their servicer. Port 0 takes a free one.
    """
    result = aio.server(interceptors=[_Guard(credential)], options=[("grpc.so_reuseport", 0), _MAX_MESSAGE])
    status = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(status, result)
    names = [health.SERVICE_NAME, reflection.SERVICE_NAME]
    for name, add in services:
        add(result)
        names.append(name)
    reflection.enable_server_reflection(names, result)
    bound = result.add_insecure_port(f"{host}:{port}")
    for name in ("", *names):
        await status.set(name, health_pb2.HealthCheckResponse.SERVING)
    return result, bound


def channel(address: str) -> aio.Channel:
    """Open a channel that finds a dead peer within 25 s and does not wait for one that is not there."""
    return aio.insecure_channel(address, options=[*_KEEPALIVE, _MAX_MESSAGE])


def metadata(credential: str) -> tuple[tuple[str, str], ...]:
    """Give the metadata of a call: the internal credential and the trace context."""
    return tuple({"authorization": f"Bearer {credential}", **telemetry.inject({})}.items())

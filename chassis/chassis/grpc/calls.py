"""What a gRPC call may cost, who may make it, and the translation of its errors."""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import grpc
import grpc.aio
import structlog
from opentelemetry.trace import Span
from pydantic import SecretStr

from chassis import telemetry
from chassis.config.declare import plain
from chassis.errors import AppError, Invalid, Kind, RateLimited, is_transient
from chassis.metrics import Histogram
from chassis.tracing import set_error

log = structlog.get_logger(__name__)

CALLS = Histogram(
    "rpc_server_call_duration_seconds",
    "Time of a gRPC call with the internal credential, from its start to its end",
    ["rpc_method", "rpc_response_status_code"],
)
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
# The answers that are failures of the server, by the conventions for spans.
FAILURES = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL})
OPEN_SERVICES = ("/grpc.health.v1.Health/", "/grpc.reflection.")
# Calls without the credential at a time, and how long one may last: a watch is then begun again by its client.
ANONYMOUS, ANONYMOUS_S = 16, 60.0
# How long a call may take to send its message.
MESSAGE_S = 10.0

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Next: TypeAlias = Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]
Messages: TypeAlias = AsyncIterator[bytes]


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Checks the internal credential, bounds each call, opens a span for it and translates its errors.

    Health and reflection are open, to ANONYMOUS calls at a time. Every handler is registered as one of raw messages, so
    that a call without the credential is refused before it has sent one, and a broken message is refused as such.
    """

    def __init__(self, credentials: str | SecretStr) -> None:
        self._expected = f"Bearer {plain(credentials)}".encode()
        self._anonymous = 0

    async def intercept_service(self, continuation: Next, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        method = handler_call_details.method
        is_open, trusted = method.startswith(OPEN_SERVICES), self._is_trusted(handler_call_details)
        if not (is_open or trusted):
            return grpc.stream_unary_rpc_method_handler(_refuse)
        handler = await continuation(handler_call_details)
        if handler is None:
            return None

        async def call(messages: Messages, context: Context) -> object:
            started, code = time.perf_counter(), grpc.StatusCode.CANCELLED
            try:
                if trusted:
                    answer = await _work(handler, messages, context, None if is_open else method)
                else:
                    with self._one_anonymous():
                        async with asyncio.timeout(ANONYMOUS_S):
                            answer = await _work(handler, messages, context, None)
                code = grpc.StatusCode.OK
                return answer
            except grpc.aio.AbortError:
                raise
            except Exception as error:
                code, sentence = _translate(method, error)
            finally:
                if not is_open:
                    CALLS.labels(method.lstrip("/"), code.name).observe(time.perf_counter() - started)
            return await context.abort(code, sentence)

        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        return make(call, response_serializer=handler.response_serializer)

    def _is_trusted(self, details: grpc.HandlerCallDetails) -> bool:
        given = dict(details.invocation_metadata or ()).get("authorization", "")
        value = given if isinstance(given, bytes) else given.encode()
        return hmac.compare_digest(value, self._expected)

    @contextmanager
    def _one_anonymous(self) -> Iterator[None]:
        if self._anonymous >= ANONYMOUS:
            raise RateLimited("too many calls without the internal credential")
        self._anonymous += 1
        try:
            yield
        finally:
            self._anonymous -= 1


async def _refuse(_messages: Messages, context: Context) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the internal credential is missing or wrong")


async def _work(handler: Any, messages: Messages, context: Context, span: str | None) -> object:
    """Call the handler with what it takes, in a span of this name. Answers of a stream are written here."""
    decoded = _decoded(messages, handler.request_deserializer)
    request: object = decoded if handler.request_streaming else await _one(decoded)
    work = handler.stream_stream or handler.unary_stream or handler.stream_unary or handler.unary_unary
    if span is None:
        answer = work(request, context)
        if not hasattr(answer, "__aiter__"):
            return await answer
        async for message in answer:
            await context.write(message)
        return None
    headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    name = span.lstrip("/")
    with telemetry.tracing.entered(name, headers, marks_failure=False) as opened:
        try:
            answer = await work(request, context)
        except Exception as error:
            rpc_status(opened, name, _code(error), FAILURES)
            raise
        rpc_status(opened, name, grpc.StatusCode.OK, FAILURES)
        return answer


def rpc_status(span: Span, method: str, code: grpc.StatusCode, failures: Collection[grpc.StatusCode]) -> None:
    """Say on a recorded span what was called and how it ended."""
    if span.is_recording():
        span.set_attributes({"rpc.system.name": "grpc", "rpc.method": method, "rpc.response.status_code": code.name})
        if code in failures:
            set_error(span, code.name)


def _code(error: Exception) -> grpc.StatusCode:
    if isinstance(error, AppError):
        return CODES[error.kind]
    return grpc.StatusCode.UNAVAILABLE if is_transient(error) else grpc.StatusCode.INTERNAL


async def _decoded(messages: Messages, decode: Callable[[bytes], object]) -> AsyncIterator[object]:
    async for raw in messages:
        try:
            message = decode(raw)
        except Exception:
            raise Invalid("the message is not one that this method takes") from None
        yield message


async def _one(messages: AsyncIterator[object]) -> object:
    try:
        async with asyncio.timeout(MESSAGE_S):
            return await anext(messages)
    except TimeoutError:
        raise Invalid(f"the message did not arrive within {MESSAGE_S:g} s") from None
    except StopAsyncIteration:
        raise Invalid("the call has no message") from None


def _translate(method: str, error: Exception) -> tuple[grpc.StatusCode, str]:
    code = _code(error)
    if isinstance(error, AppError):
        return code, error.message
    if method.startswith(OPEN_SERVICES) and isinstance(error, TimeoutError):
        return grpc.StatusCode.DEADLINE_EXCEEDED, f"a call without the internal credential lasts {ANONYMOUS_S:g} s"
    if is_transient(error):
        log.warning("a dependency is down", method=method, error=f"{type(error).__name__}: {error}")
        return code, "something that is needed can't be reached now"
    log.error("call failed", method=method, exc_info=error)
    return code, "internal error"

"""The one ASGI middleware: request id, body limit, root span, metrics, one log line, and the answer to failures."""

import re
import time
from collections.abc import Mapping

import structlog
from fastapi.responses import JSONResponse
from opentelemetry.trace import Span, SpanKind, StatusCode
from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import telemetry
from chassis.errors import is_contention, is_transient
from chassis.http.body import Body, TooLarge
from chassis.ids import uuid7

log = structlog.get_logger(__name__)

REQUESTS = Histogram(
    "http_request_duration_seconds",
    "Time from the request's head to the answer's end, by route template",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

REQUEST_ID = "chassis.request_id"
PROBES = frozenset({"/ping", "/health", "/ready", "/metrics"})
# More requests than a process can answer within its time limits: the next ones are refused at once.
MAX_IN_FLIGHT = 256
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_TRACE = ("traceparent", "tracestate")
_SANE_ID = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")


def error_response(
    status: int, code: str, sentence: str, request_id: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Make the one shape of an error: `{"error", "code", "request_id"}`."""
    return JSONResponse({"error": sentence, "code": code, "request_id": request_id}, status, dict(headers or {}))


class _Exchange:
    """One request and the answer to it."""

    def __init__(self, scope: Scope, headers: Mapping[bytes, bytes], send: Send) -> None:
        # HEAD is served as GET. The server leaves the body out: its own scope still says HEAD.
        self.scope = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        self.started = time.perf_counter()
        given = headers.get(b"x-request-id", b"")
        self.request_id = given.decode("ascii") if _SANE_ID.fullmatch(given) else uuid7().hex
        self.status = 0
        self._send = send
        self._id_header = (b"x-request-id", self.request_id.encode())
        self.method: str = scope["method"] if scope["method"] in METHODS else "OTHER"
        self.scope[REQUEST_ID] = self.request_id

    async def send(self, message: Message) -> None:
        """The application's ASGI `send`: adds X-Request-ID and records the status."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), self._id_header]
        await self._send(message)

    @property
    def route(self) -> str:
        """The route's template, or `unmatched`, so that the number of metrics stays bounded."""
        route: str = getattr(self.scope.get("route"), "path", "unmatched")
        return route

    def finish(self, span: Span | None) -> None:
        """Record the metric, the log line and the outcome of the span."""
        duration = time.perf_counter() - self.started
        route, status = self.route, self.status
        REQUESTS.labels(self.method, route, str(status)).observe(duration)
        if span is not None and span.is_recording():
            span.update_name(f"{self.method} {route}")
            span.set_attribute("http.route", route)
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(StatusCode.ERROR)
        level = log.debug if self.scope["path"] in PROBES else log.info
        level(
            "request",
            method=self.method,
            path=self.scope["path"],
            route=route,
            status=status,
            duration_ms=round(duration * 1000, 2),
        )


class ChassisMiddleware:
    """Wraps the application. Lifespan events pass unchanged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        exchange = _Exchange(scope, headers, send)
        with structlog.contextvars.bound_contextvars(request_id=exchange.request_id):
            if scope["path"] in PROBES:
                await self._serve(exchange, headers, receive)
                exchange.finish(None)
                return
            parent = telemetry.extract(
                {name: headers[name.encode()].decode("latin-1") for name in _TRACE if name.encode() in headers}
            )
            attributes = {"http.request.method": exchange.method, "url.path": scope["path"]}
            with telemetry.tracer.start_as_current_span(
                exchange.method, context=parent, kind=SpanKind.SERVER, attributes=attributes
            ) as span:
                try:
                    await self._serve(exchange, headers, receive)
                finally:
                    exchange.finish(span)

    async def _serve(self, exchange: _Exchange, headers: dict[bytes, bytes], receive: Receive) -> None:
        """Let the application answer, unless MAX_IN_FLIGHT requests are being served. Probes always pass."""
        if self._in_flight >= MAX_IN_FLIGHT and exchange.scope["path"] not in PROBES:
            await self._answer(exchange, receive, 503, "unavailable", "The service is overloaded", {"Retry-After": "1"})
            return
        self._in_flight += 1
        try:
            await self._pass(exchange, headers, receive)
        finally:
            self._in_flight -= 1

    async def _pass(self, exchange: _Exchange, headers: dict[bytes, bytes], receive: Receive) -> None:
        scope = exchange.scope
        try:
            body = Body(headers, receive)
            if body.chunked:
                await body.read()
            if b"%00" in scope["query_string"]:
                answer = error_response(
                    400, "validation_failed", "The query must not contain a NUL character", exchange.request_id
                )
                await answer(scope, receive, exchange.send)
                return
            await self._app(scope, body.receive, exchange.send)
        except TooLarge:
            await self._answer(exchange, receive, 413, "payload_too_large", "The body is larger than 1 MiB")
        except Exception as error:
            if exchange.status:
                raise
            await self._answer_failure(exchange, receive, error)

    async def _answer_failure(self, exchange: _Exchange, receive: Receive, error: Exception) -> None:
        if is_transient(error) or is_contention(error):
            log.warning("a dependency is down", error=f"{type(error).__name__}: {error}")
            sentence = "The service can't reach something it needs; try again in a moment"
            await self._answer(exchange, receive, 503, "unavailable", sentence, {"Retry-After": "2"})
        else:
            log.error("request failed", exc_info=error)
            await self._answer(exchange, receive, 500, "internal_error", "Internal server error")

    @staticmethod
    async def _answer(
        exchange: _Exchange,
        receive: Receive,
        status: int,
        code: str,
        sentence: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        answer = error_response(status, code, sentence, exchange.request_id, headers)
        await answer(exchange.scope, receive, exchange.send)

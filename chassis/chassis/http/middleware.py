"""The one ASGI middleware: request id, slots, root span, metrics, one log line, and the answer to failures."""

import re
import time
from collections.abc import Mapping

import structlog
from fastapi import HTTPException
from fastapi.responses import JSONResponse
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode
from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import logging, telemetry
from chassis.errors import is_transient
from chassis.http.body import BODY, DEFAULT_MAX_BODY_BYTES, MAX_BODY_BYTES, Body, announced, too_large
from chassis.http.load import Load, Slot
from chassis.http.refusal import NO_STORE_HEADER, SECURITY_HEADER
from chassis.http.shortcuts import Shortcuts
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
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_READS = frozenset({"GET", "HEAD"})
_BODY_CODES = {413: "payload_too_large", 503: "unavailable"}
_TRACE = ("traceparent", "tracestate")
_NO_PARENT = Context()
_SANE_ID = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")


def error_response(
    status: int, code: str, sentence: str, request_id: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Make the one shape of an error: `{"error", "code", "request_id"}`."""
    return JSONResponse({"error": sentence, "code": code, "request_id": request_id}, status, dict(headers or {}))


class _Exchange:
    """One request and the answer to it."""

    def __init__(self, scope: Scope, headers: Mapping[bytes, bytes], send: Send, slot: Slot) -> None:
        # HEAD is served as GET. The server leaves the body out: its own scope still says HEAD.
        self.scope = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        self.started = time.perf_counter()
        given = headers.get(b"x-request-id", b"")
        self.request_id = given.decode("ascii") if _SANE_ID.fullmatch(given) else uuid7().hex
        self.status = 0
        # The template, when it is known without the router.
        self.route = ""
        self.slot = slot
        self._send = send
        self._headers = [(b"x-request-id", self.request_id.encode()), SECURITY_HEADER]
        # Answers to a caller with a token, and to whoever sends something, may belong to a person.
        if b"authorization" in headers or scope["method"] not in _READS:
            self._headers.append(NO_STORE_HEADER)
        self.method: str = scope["method"] if scope["method"] in METHODS else "OTHER"
        self.scope[REQUEST_ID] = self.request_id

    async def send(self, message: Message) -> None:
        """The application's ASGI `send`: adds headers, records the status, and frees the slot.

        The answer is there. A client that takes it slowly keeps no other from being served.
        """
        if message["type"] == "http.response.start":
            self.slot.release()
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers]
        await self._send(message)

    def finish(self, span: Span | None) -> None:
        """Record the metric, the log line and the outcome of the span."""
        duration = time.perf_counter() - self.started
        # Bounded, and so is the number of metrics.
        route: str = self.route or getattr(self.scope.get("route"), "path", "unmatched")
        status = self.status
        REQUESTS.labels(self.method, route, str(status)).observe(duration)
        if span is not None and span.is_recording():
            span.update_name(f"{self.method} {route}")
            span.set_attribute("http.route", route)
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(StatusCode.ERROR)
        fields = {
            "method": self.method,
            "path": self.scope["path"],
            "route": route,
            "status": status,
            "duration_ms": round(duration * 1000, 2),
        }
        if span is None:
            log.debug("request", **fields)
            return
        ids = {"logger": __name__, "request_id": self.request_id, **telemetry.ids(span.get_span_context())}
        logging.direct.info("request", fields | ids)


class ChassisMiddleware:
    """Wraps the application. Lifespan events pass unchanged."""

    def __init__(self, app: ASGIApp, load: Load, shortcuts: Shortcuts) -> None:
        self._app = app
        self._load = load
        self._shortcuts = shortcuts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        exchange = _Exchange(scope, headers, send, Slot(self._load))
        token = logging.request_id.set(exchange.request_id)
        try:
            if scope["path"] in PROBES:
                await self._serve(exchange, headers, receive)
                exchange.finish(None)
            else:
                await self._serve_in_span(exchange, headers, receive)
        finally:
            logging.request_id.reset(token)

    async def _serve_in_span(self, exchange: _Exchange, headers: dict[bytes, bytes], receive: Receive) -> None:
        parent = _NO_PARENT
        if b"traceparent" in headers:
            given = {name: headers[name.encode()].decode("latin-1") for name in _TRACE if name.encode() in headers}
            parent = telemetry.extract(given)
        attributes = {"http.request.method": exchange.method, "url.path": exchange.scope["path"]}
        with telemetry.tracing.span(
            exchange.method, context=parent, kind=SpanKind.SERVER, attributes=attributes
        ) as span:
            try:
                await self._serve(exchange, headers, receive)
            finally:
                exchange.finish(span)

    async def _serve(self, exchange: _Exchange, headers: dict[bytes, bytes], receive: Receive) -> None:
        """Let the application answer, unless all slots are taken. Probes always pass."""
        if exchange.scope["path"] not in PROBES and not exchange.slot.take():
            await self._answer(exchange, receive, 503, "unavailable", "The service is overloaded", {"Retry-After": "1"})
            return
        try:
            await self._pass(exchange, headers, receive)
        finally:
            exchange.slot.release()

    async def _pass(self, exchange: _Exchange, headers: dict[bytes, bytes], receive: Receive) -> None:
        scope = exchange.scope
        if announced(headers):
            body = Body(scope, headers, receive, exchange.slot)
            if not body.fits:
                refusal = too_large(MAX_BODY_BYTES)
                await self._answer(exchange, receive, 413, "payload_too_large", refusal.detail)
                return
            if scope["method"] == "GET" and (refused := await self._refusal(body)):
                code = _BODY_CODES.get(refused.status_code, "request_timeout")
                await self._answer(exchange, receive, refused.status_code, code, refused.detail, refused.headers)
                return
            scope[BODY], receive = body, body.receive
        if b"%00" in scope["query_string"]:
            sentence = "The query must not contain a NUL character"
            await self._answer(exchange, receive, 400, "validation_failed", sentence)
            return
        try:
            if BODY not in scope and scope["method"] == "GET" and await self._answer_shortly(exchange):
                return
            await self._app(scope, receive, exchange.send)
        except Exception as error:
            if exchange.status:
                raise
            await self._answer_failure(exchange, receive, error)

    async def _answer_shortly(self, exchange: _Exchange) -> bool:
        """Answer by a shortcut, if there is one for this request."""
        found = self._shortcuts.find(exchange.scope["path"])
        if found is None:
            return False
        exchange.route, parameter, answer = found
        content = await answer(parameter, exchange.scope["query_string"])
        if content is None:
            exchange.route = ""
            return False
        headers = [(b"content-length", str(len(content)).encode()), (b"content-type", b"application/json")]
        await exchange.send({"type": "http.response.start", "status": 200, "headers": headers})
        await exchange.send({"type": "http.response.body", "body": content})
        return True

    @staticmethod
    async def _refusal(body: Body) -> HTTPException | None:
        """Return the refusal of a body that no route reads: pages and unknown addresses are no routes of ours."""
        try:
            await body.limit(DEFAULT_MAX_BODY_BYTES)
        except HTTPException as refusal:
            return refusal
        return None

    async def _answer_failure(self, exchange: _Exchange, receive: Receive, error: Exception) -> None:
        if is_transient(error):
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

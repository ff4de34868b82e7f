"""The one ASGI middleware: request id, slots, root span, metrics, one log line, and the answer to failures."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager

import structlog
from fastapi import HTTPException, Request, Response
from fastapi.responses import JSONResponse
from opentelemetry.trace import Span
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import logging, telemetry
from chassis.errors import AppError, is_transient
from chassis.http.body import BODY, DEFAULT_MAX_BODY_BYTES, MAX_BODY_BYTES, Body, announced, too_large
from chassis.http.cycle import Cycle
from chassis.http.load import Load, Slot
from chassis.http.record import record_of
from chassis.http.refusal import NO_STORE_HEADER, SECURITY_HEADER
from chassis.http.shortcuts import Shortcuts
from chassis.http.span import complete
from chassis.ids import request_id

log = structlog.get_logger(__name__)

REQUEST_ID = "chassis.request_id"
# Makes the answer to a refusal.
Refusal = Callable[[Request, AppError], Awaitable[Response]]
PROBES = frozenset({"/ping", "/health", "/ready", "/metrics"})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_READS = frozenset({"GET", "HEAD"})
_BODY_CODES = {413: "payload_too_large", 503: "unavailable"}
_TRACE = ("traceparent", "tracestate")
_JSON_HEADER = (b"content-type", b"application/json")
# What `_Exchange` adds to the head of an answer, as it is sent.
_JSON_FIELDS = b"content-type: application/json\r\nx-request-id: %b\r\nx-content-type-options: nosniff\r\n"
_NO_STORE_FIELD = b"cache-control: no-store\r\n"
_SANE_ID = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")


def error_response(
    status: int, code: str, sentence: str, request_id: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Make the one shape of an error: `{"error", "code", "request_id"}`.

    An application with pages puts a function of its own with these parameters on `app.state.error_response`.
    """
    return JSONResponse({"error": sentence, "code": code, "request_id": request_id}, status, dict(headers or {}))


class _Exchange:
    """One request and the answer to it."""

    __slots__ = ("_private", "_send", "method", "request_id", "route", "scope", "slot", "started", "status")

    def __init__(self, scope: Scope, headers: Mapping[bytes, bytes], send: Send, slot: Slot) -> None:
        # HEAD is served as GET. The server leaves the body out: its own scope still says HEAD.
        method: str = scope["method"]
        self.scope = {**scope, "method": "GET"} if method == "HEAD" else scope
        self.started = time.perf_counter()
        given = headers.get(b"x-request-id")
        self.request_id = given.decode("ascii") if given and _SANE_ID.fullmatch(given) else request_id()
        self.status = 0
        # The template, when it is known without the router.
        self.route = ""
        self.slot = slot
        self._send = send
        # The answer to a request with a token, or to one that changes something, may contain personal data.
        self._private = b"authorization" in headers or method not in _READS
        self.method = method if method in METHODS else "_OTHER"
        self.scope[REQUEST_ID] = self.request_id

    def _headers(self) -> list[tuple[bytes, bytes]]:
        always = [(b"x-request-id", self.request_id.encode()), SECURITY_HEADER]
        return [*always, NO_STORE_HEADER] if self._private else always

    async def send(self, message: Message) -> None:
        """The application's ASGI `send`: adds headers, records the status, and frees the slot.

        The answer is there. A client that takes it slowly keeps no other from being served.
        """
        if message["type"] == "http.response.start":
            self.slot.release()
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers()]
        await self._send(message)

    async def answer_json(self, content: bytes) -> None:
        """Send a whole answer 200."""
        self.slot.release()
        self.status = 200
        cycle = getattr(self._send, "__self__", None)
        if isinstance(cycle, Cycle):
            fields = _JSON_FIELDS % self.request_id.encode()
            if cycle.write_json(content, fields + _NO_STORE_FIELD if self._private else fields):
                return
        headers = [(b"content-length", b"%d" % len(content)), _JSON_HEADER, *self._headers()]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": content})

    def finish(self, span: Span | None) -> None:
        """Record the metric, the log line and the outcome of the span."""
        duration = time.perf_counter() - self.started
        # Bounded, and so is the number of metrics.
        route: str = self.route or getattr(self.scope.get("route"), "path", "unmatched")
        status = self.status
        record = record_of(self.method, route, status)
        if span is None:
            record.observe(duration)
            if logging.direct.debug:
                record.log_probe(self.scope["path"], duration * 1000)
            return
        ids = telemetry.numbers(span)
        if not span.is_recording():
            record.observe(duration)
        else:
            record.observe_traced(duration, ids[0])
            complete(span, self.scope, self.method, route, status)
        record.log(self.scope["path"], duration * 1000, self.request_id, ids)


def _span(exchange: _Exchange, headers: Mapping[bytes, bytes]) -> AbstractContextManager[Span]:
    given: dict[str, str] = {}
    if b"traceparent" in headers:
        given = {name: headers[name.encode()].decode("latin-1") for name in _TRACE if name.encode() in headers}
    return telemetry.tracing.entered(exchange.method, given)


class ChassisMiddleware:
    """Wraps the application. Lifespan events pass unchanged."""

    def __init__(self, app: ASGIApp, load: Load, shortcuts: Shortcuts, refusal: Refusal) -> None:
        self._app = app
        self._refusal = refusal
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
                await self._pass(exchange, headers, receive)
                exchange.finish(None)
                return
            with _span(exchange, headers) as span:
                try:
                    if exchange.slot.take():
                        await self._pass(exchange, headers, receive)
                    else:
                        sentence = "The service is overloaded"
                        await self._answer(exchange, receive, 503, "unavailable", sentence, {"Retry-After": "1"})
                finally:
                    exchange.finish(span)
        finally:
            exchange.slot.release()
            logging.request_id.reset(token)

    async def _pass(self, exchange: _Exchange, headers: dict[bytes, bytes], receive: Receive) -> None:
        scope = exchange.scope
        if announced(headers):
            if await self._refused_body(exchange, headers, receive):
                return
            receive = scope[BODY].receive
        if b"%00" in scope["query_string"]:
            sentence = "The query must not contain a NUL character"
            await self._answer(exchange, receive, 400, "validation_failed", sentence)
            return
        try:
            if BODY not in scope and scope["method"] == "GET" and (found := self._shortcuts.find(scope["path"])):
                exchange.route, parameter, answer = found
                content = await answer(parameter, scope["query_string"])
                if content is not None:
                    await exchange.answer_json(content)
                    return
                exchange.route = ""
            await self._app(scope, receive, exchange.send)
        except Exception as error:
            if exchange.status:
                raise
            await self._answer_failure(exchange, receive, error)

    async def _refused_body(self, exchange: _Exchange, headers: dict[bytes, bytes], receive: Receive) -> bool:
        """Put the body into the scope, or refuse it: when it is too large, or with GET above the default of routes.

        A GET may be for a page or an unknown address: they have no route that would read the body, and so refuse it.
        """
        body = Body(exchange.scope, headers, receive, exchange.slot)
        if not body.fits:
            await self._answer(exchange, receive, 413, "payload_too_large", too_large(MAX_BODY_BYTES).detail)
            return True
        if exchange.scope["method"] == "GET":
            try:
                await body.limit(DEFAULT_MAX_BODY_BYTES)
            except HTTPException as refused:
                code = _BODY_CODES.get(refused.status_code, "request_timeout")
                await self._answer(exchange, receive, refused.status_code, code, refused.detail, refused.headers)
                return True
        exchange.scope[BODY] = body
        return False

    async def _answer_failure(self, exchange: _Exchange, receive: Receive, error: Exception) -> None:
        if isinstance(error, AppError):
            # Of a shortcut: the application answers those of its routes.
            answer = await self._refusal(Request(exchange.scope), error)
            await answer(exchange.scope, receive, exchange.send)
        elif is_transient(error):
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
        make = exchange.scope["app"].state.error_response
        answer: Response = make(status, code, sentence, exchange.request_id, headers)
        await answer(exchange.scope, receive, exchange.send)

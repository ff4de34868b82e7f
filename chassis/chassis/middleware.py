"""The one ASGI middleware: request id, body limit, content type, root span, metrics, log line and the last resort."""

import re
import time
from typing import Any
from uuid import uuid4

import orjson
import structlog
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from chassis import telemetry
from chassis.errors import AppError, Kind, Unavailable, is_contention, is_transient

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 1024 * 1024
DURATION = Histogram(
    "http_request_duration_seconds",
    "Time from request to the end of the answer",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
# Probes come every few seconds and say nothing; their errors are still logged by what they probe.
QUIET = frozenset({"/ping", "/health", "/ready", "/metrics"})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)

STATUS = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.METHOD_NOT_ALLOWED: 405,
    Kind.CONFLICT: 409,
    Kind.PAYLOAD_TOO_LARGE: 413,
    Kind.UNSUPPORTED_MEDIA: 415,
    Kind.UNPROCESSABLE: 422,
    Kind.RATE_LIMITED: 429,
    Kind.INTERNAL: 500,
    Kind.UNAVAILABLE: 503,
}


class PayloadTooLarge(AppError):
    """The body has more than 1 MiB."""

    code = "payload_too_large"
    kind = Kind.PAYLOAD_TOO_LARGE


class UnsupportedMediaType(AppError):
    """The body is not JSON by its content type."""

    code = "unsupported_media_type"
    kind = Kind.UNSUPPORTED_MEDIA


def error_body(error: AppError, request_id: str) -> bytes:
    """Give the one JSON shape that every error has."""
    return orjson.dumps({"error": error.message, "code": error.code, "request_id": request_id})


def error_headers(error: AppError) -> dict[str, str]:
    """Give the headers that go with an error."""
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers.setdefault("Retry-After", str(error.retry_after))
    return headers


def as_app_error(error: BaseException) -> AppError:
    """Map whatever a handler let through: an outage is 503, everything else a 500 that says nothing."""
    if isinstance(error, AppError):
        return error
    if is_transient(error) or is_contention(error):
        return Unavailable("the service can't answer this now, please try again")
    return AppError("internal server error")


class RequestScope:
    """Wraps the whole application; pure ASGI, because BaseHTTPMiddleware costs more than the handlers (measured)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value for name, value in reversed(scope["headers"])}
        request_id = _request_id(headers.get(b"x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        clear_contextvars()
        bind_contextvars(request_id=request_id)
        context = telemetry.extract({k.decode("latin-1"): v.decode("latin-1") for k, v in headers.items()}
                                    if b"traceparent" in headers else {})  # fmt: skip
        with telemetry.tracer.start_as_current_span(
            scope["method"], context=context, kind=SpanKind.SERVER, set_status_on_exception=False
        ) as span:
            exchange = _Exchange(receive, send, request_id)
            started = time.perf_counter()
            try:
                _check_declared(scope, headers)
                await self._app(scope, exchange.receive, exchange.send)
            except Exception as error:  # noqa: BLE001 - the last resort: nothing may leave in another shape
                await exchange.fail(error)
            finally:
                _report(scope, exchange.status, time.perf_counter() - started)
                if span.is_recording():
                    route = _route(scope)
                    span.update_name(f"{scope['method']} {route}")
                    span.set_attributes({"http.request.method": scope["method"], "http.route": route,
                                         "http.response.status_code": exchange.status, "url.path": scope["path"]})  # fmt: skip
                    if exchange.status >= 500:
                        span.set_status(StatusCode.ERROR)


class _Exchange:
    """One request's body in and answer out, with the limit on the one and the request id on the other."""

    def __init__(self, receive: Receive, send: Send, request_id: str) -> None:
        self._receive, self._send, self._request_id = receive, send, request_id
        self._seen = 0
        self.status = 500
        self._started = False

    async def receive(self) -> Message:
        """Pass the body on. Raises PayloadTooLarge when a chunked one grows over the limit."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            if self._seen > MAX_BODY_BYTES:
                raise _too_large()
        return message

    async def send(self, message: Message) -> None:
        """Pass the answer on with the request id."""
        if message["type"] == "http.response.start":
            self.status, self._started = message["status"], True
            message["headers"] = [*message.get("headers", []), (b"x-request-id", self._request_id.encode())]
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        """Answer an error that reached the outside."""
        refusal = as_app_error(error)
        if refusal.kind is Kind.INTERNAL:
            log.error("request failed", exc_info=error)
        elif refusal is not error:
            log.warning("dependency is away", error=str(error), kind=type(error).__name__)
        if self._started:
            raise error
        body = error_body(refusal, self._request_id)
        headers = {"content-type": "application/json", "content-length": str(len(body)), **error_headers(refusal)}
        if refusal.kind is Kind.PAYLOAD_TOO_LARGE:
            headers["connection"] = "close"
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": STATUS[refusal.kind], "headers": encoded})
        await self.send({"type": "http.response.body", "body": body})


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(f"the body must have at most {MAX_BODY_BYTES} bytes")


def _request_id(given: bytes | None) -> str:
    return given.decode() if given and _REQUEST_ID.fullmatch(given) else uuid4().hex


def _check_declared(scope: Scope, headers: dict[bytes, bytes]) -> None:
    """Refuse by the headers alone what is too large or not JSON, whether the route reads a body or not."""
    length = headers.get(b"content-length", b"0")
    size = int(length) if length.isdigit() else 0
    if size > MAX_BODY_BYTES:
        raise _too_large()
    if size or b"transfer-encoding" in headers:
        content_type = headers.get(b"content-type", b"").decode("latin-1").strip()
        if not _JSON.fullmatch(content_type):
            raise UnsupportedMediaType("the content type must be application/json")


def _route(scope: Scope) -> str:
    path: Any = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else "unmatched"


def _report(scope: Scope, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in METHODS else "other"
    route = _route(scope)
    DURATION.labels(method, route, str(status)).observe(seconds)
    if scope["path"] not in QUIET:
        log.info("request", method=method, path=scope["path"], status=status, ms=round(seconds * 1000, 2))

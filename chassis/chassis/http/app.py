"""Makes a service's FastAPI application: its routes, the probes, and one shape for every error."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import RouteContext, iter_route_contexts
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.routing import compile_path

from chassis import __version__
from chassis.config.settings import ProcessSettings
from chassis.errors import AppError, Kind
from chassis.http import docs, openapi, probes
from chassis.http.load import Load
from chassis.http.middleware import REQUEST_ID, ChassisMiddleware, error_response
from chassis.http.probes import Readiness
from chassis.http.shortcuts import Shortcuts
from chassis.http.validation import sentence

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]] | Callable[[FastAPI], AsyncIterator[Any]]

STATUS: Mapping[Kind, int] = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.UNPROCESSABLE: 422,
    Kind.RATE_LIMITED: 429,
    Kind.INTERNAL: 500,
    Kind.UNAVAILABLE: 503,
}

_CODES = {
    400: ("validation_failed", "The request is malformed"),
    401: ("unauthenticated", "Authentication is required"),
    403: ("forbidden", "You may not do this"),
    404: ("not_found", "There is nothing at this address"),
    405: ("method_not_allowed", "This address does not know the method"),
    409: ("conflict", "The request clashes with the present state"),
    408: ("request_timeout", "The request did not arrive in time"),
    413: ("payload_too_large", "The body is larger than this address allows"),
    415: ("unsupported_media_type", "Content-Type must be application/json"),
    422: ("unprocessable", "The request contradicts an earlier one"),
    429: ("rate_limited", "Too many requests"),
    431: ("head_too_large", "The headers are larger than allowed"),
    500: ("internal_error", "Internal server error"),
    503: ("unavailable", "Something that is needed can't be reached now"),
}


class ErrorBody(BaseModel):
    """The body of every error of every route."""

    error: str
    code: str
    request_id: str


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe refusals for a route's `responses=`; chassis.http.openapi adds those that follow from its shape."""
    return {status: _described(status) for status in statuses}


def _described(status: int) -> dict[str, Any]:
    code, text = _CODES[status]
    example = {"error": text, "code": code, "request_id": "01a210a99ec278c3b1f9482d059d4740"}
    schema = {"$ref": f"#/components/schemas/{ErrorBody.__name__}"}
    return {"description": text, "content": {openapi.JSON: {"schema": schema, "example": example}}}


def create_app(
    settings: ProcessSettings,
    *,
    routers: Sequence[APIRouter] = (),
    lifespan: Lifespan | None = None,
    ready: Readiness | None = None,
    title: str = "",
    description: str = "",
) -> FastAPI:
    """Make the application. Routers carry their full prefix, so that metrics name the whole route.

    Where there is a port for the management, metrics and the details of `/ready` are left to `management_app`.
    """
    options: dict[str, Any] = {
        "title": title or settings.service,
        "description": description,
        "version": __version__,
        "lifespan": lifespan,
    }
    app = _app_with_docs(options) if settings.expose_docs else _bare_app(**options)
    _fill(app, settings, ready or Readiness())
    for router in (*routers, probes.public_router if settings.management_port else probes.router):
        app.router.routes.extend(router.routes)
    _patch_openapi(app)
    _put_first(app)
    return app


def management_app(settings: ProcessSettings, public: FastAPI) -> FastAPI:
    """Make the application of MANAGEMENT_PORT: the probes of the public application, with all details."""
    app = _bare_app(title=settings.service)
    _fill(app, settings, public.state.readiness)
    # The bounds are those of the management's own connections; `/ready` speaks of the public ones.
    app.state.public_load = public.state.load
    app.state.peers = public.state.peers
    app.router.routes.extend(probes.router.routes)
    _put_first(app)
    return app


def _app_with_docs(options: dict[str, Any]) -> FastAPI:
    # /docs serves its own scripts, so that it works without the internet. ReDoc would need a CDN.
    app = FastAPIOffline(docs_url=None, redoc_url=None, static_url=docs.ASSETS, **_FRAME, **options)
    docs.serve_page(app)
    return app


def _bare_app(**options: Any) -> FastAPI:
    return FastAPI(openapi_url=None, docs_url=None, redoc_url=None, **_FRAME, **options)


def _fill(app: FastAPI, settings: ProcessSettings, ready: Readiness) -> None:
    app.state.settings = settings
    app.state.readiness = ready
    app.state.load = Load(
        settings.http_max_connections,
        settings.http_max_connections_per_address,
        settings.http_max_body_bytes,
        settings.trusted_proxies,
    )
    app.state.public_load = app.state.load
    app.state.error_response = error_response
    app.state.peers = ()
    app.state.metrics = probes.metrics_text(app)
    app.state.shortcuts = Shortcuts()
    app.state.shortcuts.add({"/ping": probes.answer_ping})


def _put_first(app: FastAPI) -> None:
    """Put the middleware before those of FastAPI, which a shortcut then does not pass."""
    stack = app.build_middleware_stack()
    if not isinstance(stack, ServerErrorMiddleware):
        raise TypeError(f"FastAPI begins with {type(stack).__name__}")
    # Left out: it would answer a failure in its own form before ours sees it.
    app.middleware_stack = ChassisMiddleware(stack.app, app.state.load, app.state.shortcuts, _app_error)


def _refuse(
    request: Request, status: int, code: str, sentence: str, headers: Mapping[str, str] | None = None
) -> Response:
    answer: Response = request.app.state.error_response(
        status, code, sentence, request.scope.get(REQUEST_ID, ""), headers
    )
    return answer


async def _app_error(request: Request, error: AppError) -> Response:
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers.setdefault("Retry-After", str(error.retry_after))
    if error.kind is Kind.UNAUTHENTICATED:
        headers.setdefault("WWW-Authenticate", "Bearer")
    return _refuse(request, STATUS[error.kind], error.code, error.message, headers)


async def _validation_error(request: Request, error: RequestValidationError) -> Response:
    if any(item["loc"][0] == "path" for item in error.errors()) and any(_fitting(request, named=True)):
        # PUT /v1/products/search: the id is not wrong, the address has a route of its own without this method.
        return await _http_error(request, HTTPException(405))
    return _refuse(request, 400, "validation_failed", sentence(error.errors()))


async def _http_error(request: Request, error: HTTPException) -> Response:
    code, text = _CODES.get(error.status_code, ("internal_error", "Internal server error"))
    if error.status_code in (400, 413, 415, 503) and isinstance(error.detail, str):
        text = error.detail
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = _allowed(request)
    return _refuse(request, error.status_code, code, text, headers)


_FRAME: dict[str, Any] = {
    "redirect_slashes": False,
    "telemetry": {"tracing": False, "metrics": False, "logs": False},
    "exception_handlers": {
        AppError: _app_error,
        RequestValidationError: _validation_error,
        HTTPException: _http_error,
    },
}


def _fitting(request: Request, *, named: bool) -> Iterator[RouteContext]:
    """Yield the routes at this address; `named` leaves out those that match it as an id only."""
    path = request.url.path
    for route in iter_route_contexts(request.app.routes):
        if route.path and route.methods and (route.path == path if named else compile_path(route.path)[0].match(path)):
            yield route


def _allowed(request: Request) -> str:
    """Return the methods of all routes at this address; Starlette names only the first route's."""
    fitting = list(_fitting(request, named=True)) or list(_fitting(request, named=False))
    methods = {method for route in fitting for method in route.methods or ()}
    # The middleware answers HEAD as GET; files are mounted, and a mount names no methods.
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods or {"GET", "HEAD"}))


def _patch_openapi(app: FastAPI) -> None:
    """Complete the document at its first request: by then all routes are registered."""
    generate = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = generate()
            schemas = made.setdefault("components", {}).setdefault("schemas", {})
            schemas[ErrorBody.__name__] = ErrorBody.model_json_schema()
            openapi.complete(made, _described)
        return app.openapi_schema or generate()

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to change its document

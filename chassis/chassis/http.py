"""Makes a service's FastAPI application: probes, metrics, one shape of errors, and an OpenAPI document that says so."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from chassis import health, metrics
from chassis.errors import AppError, Kind
from chassis.health import Readiness
from chassis.middleware import REQUEST_ID, ChassisMiddleware, error_response
from chassis.sentences import sentence

if TYPE_CHECKING:
    from chassis.config import ServiceSettings

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]] | Callable[[FastAPI], AsyncIterator[Any]]

STATUS: Mapping[Kind, int] = {
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

_CODES = {
    400: ("validation_failed", "The request is malformed"),
    401: ("unauthenticated", "Authentication is required"),
    403: ("forbidden", "You may not do this"),
    404: ("not_found", "There is nothing at this address"),
    405: ("method_not_allowed", "This address does not know the method"),
    409: ("conflict", "The request clashes with the present state"),
    413: ("payload_too_large", "The body is larger than 1 MiB"),
    415: ("unsupported_media_type", "Content-Type must be application/json"),
    422: ("unprocessable", "The request contradicts an earlier one"),
    429: ("rate_limited", "Too many requests"),
    500: ("internal_error", "Internal server error"),
    503: ("unavailable", "Something that is needed can't be reached now"),
}


class ErrorBody(BaseModel):
    """Every error of every route."""

    error: str
    code: str
    request_id: str


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe error answers for a route's `responses=`."""
    return {status: {"model": ErrorBody, "description": _CODES[status][1]} for status in statuses}


ERROR_RESPONSES = errors(*_CODES)


def create_app(
    settings: "ServiceSettings",
    *,
    routers: Sequence[APIRouter] = (),
    lifespan: Lifespan | None = None,
    ready: Readiness | None = None,
    title: str = "",
    description: str = "",
) -> FastAPI:
    """Make the application. Routers carry their full prefix themselves, so that metrics name the whole route."""
    app = FastAPI(
        title=title or settings.service,
        description=description,
        version="1.0.0",
        lifespan=lifespan,  # type: ignore[arg-type]
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        exception_handlers={
            AppError: _app_error,
            RequestValidationError: _validation_error,
            HTTPException: _http_error,
        },
    )
    app.state.settings = settings
    app.state.readiness = ready or Readiness()
    app.add_middleware(ChassisMiddleware)
    for router in (health.router, metrics.router, *routers):
        app.include_router(router)
    _patch_openapi(app)
    return app


def _request_id(request: Request) -> str:
    found: str = request.scope.get(REQUEST_ID, "")
    return found


async def _app_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AppError)  # noqa: S101 - Starlette's signature is wider than what it sends
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers.setdefault("Retry-After", str(error.retry_after))
    if error.kind is Kind.UNAUTHENTICATED:
        headers.setdefault("WWW-Authenticate", "Bearer")
    return error_response(STATUS[error.kind], error.code, error.message, _request_id(request), headers)


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return error_response(400, "validation_failed", sentence(error.errors()), _request_id(request))


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    code, text = _CODES.get(error.status_code, ("internal_error", "Internal server error"))
    if error.status_code in (400, 415) and isinstance(error.detail, str):
        text = error.detail
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = _allowed(request, headers.get("Allow", ""))
    return error_response(error.status_code, code, text, _request_id(request), headers)


def _allowed(request: Request, known: str) -> str:
    """Collect the methods of all routes at this address; Starlette names only the first route's."""
    methods = {method.strip() for method in known.split(",") if method.strip()}
    for template, operations in request.app.openapi().get("paths", {}).items():
        if compile_path(template)[0].match(request.url.path):
            methods.update(name.upper() for name in operations)
    return ", ".join(sorted(methods))


def _patch_openapi(app: FastAPI) -> None:
    """Say in the document what the errors look like: FastAPI's own 422 never leaves this application."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas["ErrorBody"] = ErrorBody.model_json_schema()
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            for path in document.get("paths", {}).values():
                for operation in path.values():
                    _describe_errors(operation["responses"])
        return app.openapi_schema or generate()

    app.openapi = openapi  # type: ignore[method-assign]


def _describe_errors(responses: dict[str, Any]) -> None:
    content = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if content.get("$ref", "").endswith("/HTTPValidationError"):
        del responses["422"]
    schema = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
    responses.setdefault("default", {"description": "Refused or failed", "content": schema})

"""The HTTP application that all services share: probes, metrics, one error shape, an honest OpenAPI document."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from chassis.errors import AppError, Invalid, Kind, NotFound
from chassis.health import Readiness
from chassis.middleware import STATUS, RequestScope, error_body, error_headers

if TYPE_CHECKING:
    from chassis.config import ServiceSettings

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class ErrorBody(BaseModel):
    """The body of every error."""

    error: str = Field(description="A sentence for a person", examples=["order not found"])
    code: str = Field(description="A stable word for a program", examples=["not_found"])
    request_id: str = Field(description="The id that the log lines of this request carry")


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Give the `responses=` of a route that may answer these error statuses."""
    return {status: {"model": ErrorBody} for status in sorted({400, 500, 503, *statuses})}


class _MethodNotAllowed(AppError):
    code, kind = "method_not_allowed", Kind.METHOD_NOT_ALLOWED


def create_app(
    settings: "ServiceSettings",
    *,
    routers: Sequence[APIRouter],
    ready: Readiness,
    title: str,
    description: str,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """Make the application of a service. Its resources are put on `app.state` by the composition root."""
    app = FastAPI(
        title=title,
        description=description,
        version="1.0.0",
        lifespan=lifespan or _nothing,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        redirect_slashes=False,
        redoc_url=None,
    )
    for router in routers:
        app.include_router(router)
    app.include_router(_probes(settings, ready))
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(RequestScope)
    _document(app)
    return app


@asynccontextmanager
async def _nothing(_app: FastAPI) -> AsyncIterator[None]:
    yield


def _probes(settings: "ServiceSettings", ready: Readiness) -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/ping")
    async def ping() -> dict[str, str]:
        return {"message": "pong"}

    @router.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "healthy", "service": settings.service}

    @router.get("/ready", responses={503: {"description": "The database or its migrations are not ready"}})
    async def readiness() -> Response:
        is_ready, body = await ready.report()
        return Response(orjson.dumps(body), 200 if is_ready else 503, media_type="application/json")

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

    return router


def _answer(request: Request, error: AppError) -> Response:
    body = error_body(error, request.state.request_id)
    return Response(body, STATUS[error.kind], error_headers(error), "application/json")


async def _app_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, AppError) or error.kind is Kind.INTERNAL:
        raise error
    return _answer(request, error)


async def _validation_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return _answer(request, Invalid(_sentence(error.errors()[0])))


def _sentence(first: dict[str, Any]) -> str:
    """Say which field is wrong and what is allowed, in words that do not depend on the library's version."""
    where = ".".join(str(part) for part in first["loc"][1:])
    if first["type"] == "json_invalid":
        return "the body is not valid JSON"
    if first["type"] == "missing":
        return f"{where} is required" if where else "a JSON body is required"
    text = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"{where}: {text}".encode("utf-8", "replace").decode() if where else text


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 404:
        return _answer(request, NotFound(f"there is no route {request.url.path}"))
    if error.status_code == 405:
        refusal = _MethodNotAllowed(f"{request.method} is not allowed here", headers=error.headers or {})
        return _answer(request, refusal)
    return _answer(request, Invalid("the body is not valid JSON" if error.status_code == 400 else str(error.detail)))


def _document(app: FastAPI) -> None:
    """Drop the 422 that FastAPI documents by itself: validation errors are 400 here."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        schema = original()
        for methods in schema["paths"].values():
            for operation in methods.values():
                found = operation.get("responses", {}).get("422", {})
                if "HTTPValidationError" in str(found):
                    del operation["responses"]["422"]
        for name in ("HTTPValidationError", "ValidationError"):
            schema.get("components", {}).get("schemas", {}).pop(name, None)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]

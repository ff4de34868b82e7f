"""The routes of all services: each bounds its body, may count its caller before that, and parses JSON exactly."""

from collections.abc import Awaitable, Callable, Coroutine
from decimal import Decimal
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.datastructures import QueryParams

from chassis import exact_json
from chassis.http.body import DEFAULT_MAX_BODY_BYTES, FORM, PROTOBUF, body_of
from chassis.http.direct import DIRECT, Direct
from chassis.http.repeated import RepeatedRoute

E = TypeVar("E", bound=Callable[..., Any])
Before = Callable[[Request], Awaitable[None]]
Handle = Callable[[Request], Coroutine[Any, Any, Response]]

_MAX_BODY = "max_body_bytes"
_BEFORE = "before_body"
_WANTED = "wanted_content_type"


def accepts(
    *,
    max_body: int = DEFAULT_MAX_BODY_BYTES,
    before: Before | None = None,
    direct: Direct | None = None,
    form: bool = False,
    protobuf: bool = False,
) -> Callable[[E], E]:
    """Bound the body of an endpoint to `max_body` bytes, and call `before` before anything of it is read.

    `before` refuses by raising an AppError, for example because the caller's address has asked too often. `direct`
    answers the usual request; see `DirectRoute`. With `form` the body is that of an HTML form, and not JSON;
    with `protobuf` it is a message of that.
    """

    def mark(endpoint: E) -> E:
        setattr(endpoint, _MAX_BODY, max_body)
        setattr(endpoint, _BEFORE, before)
        setattr(endpoint, DIRECT, direct)
        setattr(endpoint, _WANTED, FORM if form else PROTOBUF if protobuf else b"")
        return endpoint

    return mark


class _ExactRequest(Request):
    """A request whose JSON numbers are exact."""

    async def json(self) -> Any:
        """Return the JSON value of the body. Raises the refusal 400."""
        try:
            content = exact_json.parse(await self.body())
        except exact_json.ForbiddenText as error:
            raise HTTPException(400, str(error)) from error
        except ValueError as error:
            raise HTTPException(400, f"The body is not valid JSON: {error}") from error
        # FastAPI reads the fields of a model from the attributes of any object, and a Decimal is one.
        return float(content) if isinstance(content, Decimal) else content


class Route(RepeatedRoute):
    """A route with the bounds that `accepts` has put on its endpoint."""

    def get_route_handler(self) -> Handle:
        """Return the handler that FastAPI calls; the body is read inside."""
        handle = super().get_route_handler()
        max_body: int = getattr(self.endpoint, _MAX_BODY, DEFAULT_MAX_BODY_BYTES)
        before: Before | None = getattr(self.endpoint, _BEFORE, None)
        wanted: bytes = getattr(self.endpoint, _WANTED, b"")

        async def bounded(request: Request) -> Response:
            if request.scope["query_string"]:
                _refuse_repeated(request.query_params)
            if before is not None:
                await before(request)
            if (body := body_of(request.scope)) is None:
                return await handle(request)
            await body.limit(max_body)
            if wanted:
                body.wanted = wanted
            return await handle(_ExactRequest(request.scope, request.receive))

        return bounded


def _refuse_repeated(parameters: QueryParams) -> None:
    """Refuse a repeated parameter: one reader would take the first value, another the last."""
    seen: set[str] = set()
    for name, _ in parameters.multi_items():
        if name in seen:
            raise HTTPException(400, f"{name[:100]}: is given more than once")
        seen.add(name)


Router = partial(APIRouter, route_class=Route, generate_unique_id_function=attrgetter("name"))

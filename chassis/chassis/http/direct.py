"""Routes with a fast path, which answers the usual request without FastAPI's dependencies. They answer all others."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

# Answers a request, or returns None without having changed anything: then FastAPI answers.
Direct = Callable[[Request], Awaitable[Response | None]]

DIRECT = "direct"


class DirectRoute(APIRoute):
    """A route whose endpoint may name, by `accepts`, what answers the usual request.

    It raises what the dependencies and the endpoint raise, in their order: body, caller, form of the body, the rest.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler that FastAPI calls."""
        handle = super().get_route_handler()
        direct: Direct | None = getattr(self.endpoint, DIRECT, None)
        if direct is None:
            return handle
        usual = direct

        async def handle_usual(request: Request) -> Response:
            answer = await usual(request)
            return await handle(request) if answer is None else answer

        return handle_usual

"""Runs a route again when a migration has ended its transaction, in which nothing was committed."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response

from chassis.errors import is_schema_change
from chassis.http.direct import DirectRoute


class RepeatedRoute(DirectRoute):
    """A route whose handler runs a second time when a column has changed its type under a prepared statement."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_again(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:
                if not is_schema_change(error):
                    raise
            # The request keeps its body, and the pool has replaced its connections.
            return await handle(request)

        return handle_again

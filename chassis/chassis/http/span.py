"""What the span of a request says, once it is answered."""

from opentelemetry.trace import Span
from starlette.types import Scope

from chassis import telemetry


def complete(span: Span, scope: Scope, method: str, route: str, status: int) -> None:
    """Name a recorded span after its route, and set the attributes of the HTTP conventions.

    Neither query nor client's address: they may tell of a person. So may a path that no route understands.
    """
    path: str = scope["path"]
    host, port = scope.get("server") or ("", None)
    span.update_name(f"{method} {route}")
    span.set_attributes(
        {
            "http.request.method": method,
            "http.route": route,
            "url.scheme": scope["scheme"],
            "server.address": host,
            **({"server.port": port} if port else {}),
            "network.protocol.version": scope["http_version"],
        }
    )
    telemetry.set_http_status(status, span, failure_from=500)
    if route != "unmatched" and not 400 <= status < 500:
        span.set_attribute("url.path", path)
    for part, given in zip(route.split("/"), path.split("/"), strict=False):
        if part == "{order_id}":
            telemetry.about_order(f"order-{given}", span)

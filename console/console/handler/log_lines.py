"""The log lines about one order, trace or request."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Path, Response

from chassis.http.routing import Router
from chassis.ids import PathId
from console.client.admin_api import NoAnswer
from console.handler.traces import TraceId
from console.handler.visit import Visit, Visitor
from console.model.log_lines import REQUEST_ID, Found, Wanted

router = Router(include_in_schema=False)

RequestId = Annotated[str, Path(pattern=f"^{REQUEST_ID.pattern}$")]
LIMIT = 500
# The time for which stores keep lines.
LOG_RETENTION = timedelta(days=7)


@router.get("/orders/{order_id}/logs")
async def order_logs(visit: Visitor, order_id: PathId) -> Response:
    """Show the log lines about an order."""
    return await _page(visit, Wanted(order_id=order_id), f"Order {order_id}", f"/orders/{order_id}")


@router.get("/traces/{trace_id}/logs")
async def trace_logs(visit: Visitor, trace_id: TraceId) -> Response:
    """Show the log lines of a trace."""
    return await _page(visit, Wanted(trace_id=trace_id), f"Trace {trace_id[:8]}", f"/traces/{trace_id}")


@router.get("/requests/{request_id}/logs")
async def request_logs(visit: Visitor, request_id: RequestId) -> Response:
    """Show the log lines of a request."""
    return await _page(visit, Wanted(request_id=request_id), f"Request {request_id}", "")


async def _page(visit: Visit, wanted: Wanted, subject: str, back: str) -> Response:
    logs, away, found = visit.state.logs, "", Found([])
    try:
        found = await logs.find(wanted, datetime.now(UTC) - LOG_RETENTION, LIMIT)
    except NoAnswer as error:
        away = f"{logs.name} did not answer: {error}"
    return visit.page("logs.html", subject=subject, back=back, found=found, away=away, source=logs.name)

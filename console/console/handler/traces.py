"""Traces as waterfalls; in a local stack the console keeps the last spans itself."""

from typing import Annotated

from fastapi import HTTPException, Path, Request, Response

from chassis.http.body import MAX_BODY_BYTES
from chassis.http.routing import Router, accepts
from chassis.ids import PathId
from console.client.admin_api import NoAnswer
from console.client.span_ring import NotSpans, SpanRing
from console.handler.asking import asking
from console.handler.visit import Visitor
from console.model.spans import waterfall
from console.usecase.browse_events import Question, browse_events

router = Router(include_in_schema=False)

TraceId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
SHOWN = 50


@router.get("/traces")
async def traces(visit: Visitor, trace: str = "") -> Response:
    """Show the traces that came last, or go to the one that is asked for."""
    wanted = trace.strip().lower()
    if len(wanted) == 32 and all(digit in "0123456789abcdef" for digit in wanted):
        return Response(status_code=303, headers={"Location": f"/traces/{wanted}"})
    problem = "A trace is named by its 32 hexadecimal digits" if wanted else ""
    found = [each for spans in await visit.state.traces.newest(SHOWN) if (each := waterfall(spans))]
    return visit.page("traces.html", 400 if problem else 200, traces=found, ring=_ring(visit.state), problem=problem)


@router.get("/traces/{trace_id}")
async def trace_page(visit: Visitor, trace_id: TraceId) -> Response:
    """Show one trace, with the traces that it links and those that link it."""
    linking: list[str] = []
    shown, away = None, ""
    try:
        shown = waterfall(await visit.state.traces.trace(trace_id))
        linking = await visit.state.traces.linking(trace_id)
    except NoAnswer as error:
        away = f"The store of traces did not answer: {error}"
    status = 200 if shown or away else 404
    ring = _ring(visit.state)
    return visit.page("trace.html", status, trace_id=trace_id, shown=shown, linking=linking, away=away, ring=ring)


@router.get("/orders/{order_id}/trace")
async def order_trace(visit: Visitor, order_id: PathId) -> Response:
    """Go to the trace of an order, which the headers of its first event name."""
    try:
        with asking(visit):
            reading = await browse_events(visit.state.topics, visit.api, Question(order=str(order_id)))
    except NoAnswer as error:
        return visit.message("No trace", f"Kafka, whose events name the trace, did not answer: {error}")
    found = next((event.trace_id for event in reading.events if event.trace_id), None)
    if found is None:
        return visit.message("No trace", f"No event of order {order_id} that Kafka still keeps names its trace.", 404)
    return Response(status_code=303, headers={"Location": f"/traces/{found}"})


@router.post("/v1/traces")
@accepts(max_body=MAX_BODY_BYTES, protobuf=True)
async def take_spans(request: Request) -> Response:
    """Keep spans, as OTLP over HTTP sends them. Only in development, where no store of traces is configured."""
    if (ring := _ring(request.app.state)) is None:
        raise HTTPException(404)
    try:
        ring.add(await request.body())
    except NotSpans as error:
        raise HTTPException(400, "This is no message of spans") from error
    # An answer without fields: all spans were taken.
    return Response(b"", media_type="application/x-protobuf")


def _ring(state: object) -> SpanRing | None:
    store = getattr(state, "traces", None)
    return store if isinstance(store, SpanRing) else None

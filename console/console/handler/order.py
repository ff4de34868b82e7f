"""The life of one order."""

from fastapi import Response
from fastapi.responses import RedirectResponse

from chassis.http.routing import Router
from chassis.ids import PathId
from console.client.admin_api import Refused
from console.handler.visit import NotSignedIn, Visitor
from console.model.timeline import timeline
from console.usecase.order_timeline import order_timeline

router = Router(include_in_schema=False)


@router.get("/")
async def home(visit: Visitor, order: str = "") -> Response:
    """Ask which order to show."""
    digits = order.strip().removeprefix("order-")
    if digits.isascii() and digits.isdigit() and 0 < len(digits) < 19:
        return RedirectResponse(f"/orders/{int(digits)}", 303)
    problem = "An order is named by its number, such as 42 or order-42" if order else ""
    return visit.page("home.html", problem=problem)


@router.get("/orders/{order_id}")
async def order_page(visit: Visitor, order_id: PathId) -> Response:
    """Show the life of an order. A source that is away leaves a line, and the rest is shown."""
    try:
        facts = await order_timeline(visit.api, visit.state.log, order_id)
    except Refused as refusal:
        if refusal.status == 401:
            raise NotSignedIn(visit.request.url.path) from None
        return visit.message("Not allowed", "This needs the role admin.", 403)
    if facts.is_empty:
        return visit.message("Not found", f"No service knows order {order_id}.", 404)
    return visit.page("order.html", facts=facts, timeline=timeline(facts))

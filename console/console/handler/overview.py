"""The first page: the platform as it is now."""

from fastapi import Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup

from chassis.errors import Forbidden
from chassis.http.routing import Router
from console.client.admin_api import Refused
from console.handler import live, rendering
from console.handler.visit import NotSignedIn, Visitor
from console.model import layout
from console.usecase.overview import overview

router = Router(include_in_schema=False)


@live.page(router, "/")
async def overview_page(visit: Visitor, order: str = "") -> Response:
    """Show the platform; with a number typed into the search box lead to its order."""
    digits = order.strip().removeprefix("order-")
    if digits.isascii() and digits.isdigit() and 0 < len(digits) < 19:
        return RedirectResponse(f"/orders/{int(digits)}", 303)
    problem = "An order is named by its number, such as 42 or order-42" if order else ""
    visit.state.watch.viewed()
    state = visit.state
    try:
        shown = await overview(state.watch, visit.api, state.audits, state.waits)
    except Refused as refusal:
        if refusal.status == 401:
            raise NotSignedIn(visit.path) from None
        raise Forbidden("This needs the role admin") from None
    # Filled once for all who look: nothing of it is of one person.
    body = Markup(rendering.text("parts/overview_body.html", shown=shown, layout=layout))  # noqa: S704
    return visit.page("overview.html", part="parts/body.html", says=shown.sentence, body=body, problem=problem)

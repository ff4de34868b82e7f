"""The first page: the platform as it is now."""

from fastapi import Response
from markupsafe import Markup

from chassis.http.routing import Router
from console.handler import live, rendering
from console.handler.asking import asking
from console.handler.visit import Visitor
from console.model import layout
from console.usecase.gather_overview import gather_overview

router = Router(include_in_schema=False)


@live.page(router, "/")
async def overview_page(visit: Visitor) -> Response:
    """Show the platform, what waits in it, and the newest orders."""
    state = visit.state
    state.watch.viewed()
    with asking(visit):
        shown = await gather_overview(state.watch, visit.api, state.audits, state.unfinished)
    # Filled once for all viewers: it has nothing of one person.
    body = Markup(rendering.text("parts/overview_body.html", shown=shown, layout=layout))  # noqa: S704
    says = "; ".join([shown.sentence, *(f"{source} did not answer" for source in sorted(shown.unread))])
    return visit.page("overview.html", part="parts/body.html", says=says, body=body)

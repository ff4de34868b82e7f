"""The orders that wait, grouped by step and cause."""

from typing import Annotated

from fastapi import Query, Response

from chassis.http.routing import Router
from console.handler import live
from console.handler.asking import asking
from console.handler.visit import Visitor
from console.model.steps import GUIDES, Step
from console.model.unfinished import Unfinished
from console.model.wait import groups
from console.model.waits import SETTLED_S, waits
from console.usecase.gather_unfinished import gather_unfinished

router = Router(include_in_schema=False)

# The orders of a group that are shown.
SHOWN = 20


@live.page(router, "/waiting")
async def waiting_page(visit: Visitor, step: Annotated[Step | None, Query()] = None) -> Response:
    """Show the orders that wait, or those that wait for one step."""
    with asking(visit):
        unfinished = await gather_unfinished(visit.api, visit.state.backlog, visit.state.letters)
    found = waits(unfinished, SETTLED_S)
    counts = {each: sum(wait.step is each for wait in found) for each in Step}
    attention = len(found) - counts[Step.CUSTOMER]
    return visit.page(
        "waiting.html",
        part="parts/waiting.html",
        groups=groups((wait for wait in found if step in (None, wait.step)), SHOWN),
        counts=counts,
        total=len(found),
        attention=attention,
        chosen=step,
        guides=GUIDES,
        unfinished=unfinished,
        says=_says(unfinished, attention, counts[Step.CUSTOMER]),
    )


def _says(unfinished: Unfinished, attention: int, customers: int) -> str:
    away = "".join(f"{name} did not answer; " for name in sorted(unfinished.unread))
    found = f"{attention} orders need attention, {customers} wait for their customers"
    return found if unfinished.is_whole else f"{away}at least {found}"

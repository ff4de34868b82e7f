"""The search box: one field for any id."""

from typing import Annotated

from fastapi import Query, Response
from fastapi.responses import RedirectResponse

from chassis.http.routing import Router
from console.handler.asking import asking
from console.handler.visit import Visitor
from console.usecase.find_anything import MAX_TEXT, Found, find_anything

router = Router(include_in_schema=False)


@router.get("/search")
async def search(visit: Visitor, q: Annotated[str, Query(max_length=MAX_TEXT)] = "") -> Response:
    """Lead to what the text names; where it names nothing, or several things, say so."""
    if not q.strip():
        return visit.page("search.html", q="", found=Found())
    with asking(visit):
        found = await find_anything(visit.api, q)
    if len(found.places) == 1 and not found.request:
        return RedirectResponse(found.places[0][0], 303)
    return visit.page("search.html", 200 if found.places or found.away else 404, q=q.strip(), found=found)

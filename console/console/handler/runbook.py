"""The runbook: what an alert or a wait means and what to do, beside the console's other pages."""

from functools import cache

from fastapi import Response

from chassis.http.routing import Router
from console.documents import document
from console.handler.visit import Visitor
from console.model.runbook import Page, page_of

router = Router(include_in_schema=False)


@router.get("/runbook")
async def runbook(visit: Visitor) -> Response:
    """Show docs/operations.md."""
    return visit.page("runbook.html", book=_book())


@cache
def _book() -> Page:
    return page_of(document("docs/operations.md").read_text(encoding="utf-8"))

"""The runs of the auditor, and what each has found."""

from typing import Annotated

from fastapi import Path, Response

from chassis.http.routing import Router
from console.client.admin_api import NoAnswer
from console.handler.visit import Visitor

router = Router(include_in_schema=False)

Number = Annotated[int, Path(ge=0, le=2**63 - 1)]


@router.get("/audits")
async def audits_page(visit: Visitor) -> Response:
    """List the newest runs. Without Kafka the page says so."""
    try:
        return visit.page("audits.html", runs=await visit.state.audits.runs(), reason="")
    except NoAnswer as error:
        return visit.page("audits.html", runs=[], reason=str(error))


@router.get("/audits/{number}")
async def audit_page(visit: Visitor, number: Number) -> Response:
    """Show the findings of one run, by rule."""
    try:
        run = await visit.state.audits.run(number)
    except NoAnswer as error:
        return visit.message("Not known", f"kafka did not answer ({error}): the run can't be shown.")
    if run is None:
        return visit.message("Not found", "There is no such run, or it is older than three months.", 404)
    return visit.page("audit.html", run=run)

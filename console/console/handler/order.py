"""The life of one order."""

import json

from fastapi import Response

from chassis.errors import Forbidden
from chassis.http.routing import Router
from chassis.ids import PathId
from console.client.admin_api import Refused
from console.handler import live
from console.handler.visit import NotSignedIn, Visit, Visitor
from console.model.timeline import as_json
from console.usecase.gather_case import Case, case_json, gather_case

router = Router(include_in_schema=False)


# Before the page: its pattern also fits this address.
@router.get("/orders/{order_id}.json")
async def order_dossier(visit: Visitor, order_id: PathId) -> Response:
    """Give all that is known of an order as one file."""
    case = await _case(visit, order_id)
    if case.facts.is_empty:
        return visit.message("Not found", f"No service knows order {order_id}.", 404)
    content = json.dumps(case_json(case), indent=2, ensure_ascii=False, default=str)
    headers = {"Content-Disposition": f'attachment; filename="order-{order_id}.json"', "Cache-Control": "no-store"}
    return Response(content, media_type="application/json", headers=headers)


@live.page(router, "/orders/{order_id}")
async def order_page(visit: Visitor, order_id: PathId) -> Response:
    """Show the life of an order. A source that is away leaves a line, and the rest is shown."""
    case = await _case(visit, order_id)
    if case.facts.is_empty:
        return visit.message("Not found", f"No service knows order {order_id}.", 404)
    raw = json.dumps(as_json(case.timeline), indent=2, ensure_ascii=False)
    return visit.page(
        "order.html",
        part="parts/order.html",
        facts=case.facts,
        timeline=case.timeline,
        audit=case.audit,
        raw=raw,
        says=_sentence(case),
    )


async def _case(visit: Visit, order_id: int) -> Case:
    """Ask all sources. Raises NotSignedIn and Forbidden when a service refuses the person's token."""
    try:
        return await gather_case(visit.api, visit.state.order_records, visit.state.letters, order_id)
    except Refused as refusal:
        if refusal.status == 401:
            raise NotSignedIn(visit.path) from None
        raise Forbidden("This needs the role admin") from None


def _sentence(case: Case) -> str:
    """Say what there is to see, for who can't see it change."""
    status = case.facts.order["status"] if case.facts.order else "of unknown status"
    waits = f"; it waits for {case.timeline.waits[0].what}" if case.timeline.waits else ""
    missing = "".join(f"; the rows of {name} are missing" for name in sorted(case.facts.unread))
    return f"Order {case.facts.order_id} is {status}{waits}{missing}"
